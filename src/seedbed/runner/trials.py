"""The plan of a trial's runs: whether it can be called, and as which study."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from seedbed import environment, packages
from seedbed.errors import InputError
from seedbed.executors import check_sendable
from seedbed.experiments import written
from seedbed.fingerprint import Fingerprint
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.seeds import Assignment
from seedbed.store import Wanted, stored_identity
from seedbed.study import TRIAL, StudyIdentity
from seedbed.trials import Trial
from seedbed.trials.task import TrialTask


def prepare_trial(trial: Trial, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs of a trial are computed, and find out whether they can be.

    Raises:
        InputError: the trial or an option cannot be used.
    """
    refuse_training_options(options, "a trial")
    trial.check(assignments)
    if options.workers != 0:
        check_sendable(trial.name, trial)
    source, text = _source(trial)
    settings = {
        "trial": trial.name,
        "seeds": list(trial.seeds),
        **{f"parameter {name}": written(value) for name, value in sorted(trial.differing.items())},
    }
    return Plan(
        assignments=assignments,
        task=TrialTask(trial, options.threads, options.retries, options.examples, echo=options.workers == 0),
        block_size=1,
        in_threads=False,
        identity=identity_of_own(
            options,
            name=options.name or trial.study_name,
            experiment=trial.name,
            parameters={name: written(value) for name, value in trial.differing.items()},
            fingerprint=Fingerprint(settings, {}, source),
            engine=TRIAL,
            larger_is_better=trial.larger_is_better,
            primary=trial.primary,
        ),
        environment=environment.of_packages(packages.versions(sorted(packages.imported_names(text)))),
        splits={},
        wanted=Wanted(),
    )


def identity_of_own(
    options: Options,
    *,
    name: str,
    experiment: str,
    parameters: Mapping[str, str],
    fingerprint: Fingerprint,
    engine: str,
    larger_is_better: Mapping[str, bool],
    primary: str | None,
) -> StudyIdentity:
    """The identity of a study whose runs tell their scores: those that stored runs have told, as far as they have."""
    stored = stored_identity(name, options.store)
    known: Mapping[str, bool] = {}
    if stored is not None and stored.engine == engine:
        known, primary = stored.larger_is_better, primary or stored.primary
        if known and (unknown := [each for each in (*larger_is_better, primary) if each not in known]):
            raise InputError(f"{name} has no score {unknown[0]!r}; its runs reported {', '.join(known)}")
    return StudyIdentity(
        name=name,
        experiment=experiment,
        parameters=parameters,
        fingerprint=fingerprint,
        engine=engine,
        engine_settings={},
        threads=options.threads,
        device="not known",
        primary=primary or "",
        larger_is_better={**known, **larger_is_better},
        result_line=None,
    )


def refuse_training_options(options: Options, what: str) -> None:
    """Raise an InputError where an option is given that is for experiments alone."""
    given: dict[str, Any] = {
        "engine": options.engine != "auto",
        "curves": options.curves is not None,
        "keep_weights": options.keep_weights != "none",
        "stack": options.stack is not None,
        "device": options.device is not None,
        "deterministic": not options.deterministic,
    }
    for name, is_given in given.items():
        if is_given:
            raise InputError(f"{name} is for experiments: {what} computes and keeps what it likes by itself")


def _source(trial: Trial) -> tuple[dict[str, str], str]:
    """The text of the function for the study, and that of its whole file, which says what it imports."""
    function = inspect.unwrap(trial.function)
    try:
        own = inspect.getsource(function)
    except (OSError, TypeError):
        own = "source not available"
    try:
        with open(inspect.getsourcefile(function) or "", encoding="utf-8") as file:
            whole = file.read()
    except (OSError, TypeError, UnicodeDecodeError):  # of a notebook, or typed
        whole = inspect.cleandoc(own)
    return {f"trial {getattr(function, '__qualname__', trial.name)}": own}, whole
