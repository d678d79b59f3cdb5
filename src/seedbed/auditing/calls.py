"""Audit a run: train it again under changed conditions, find where it parts, why, what helps, whether it matters."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seedbed import environment, generators
from seedbed.auditing import conditions as conditions_
from seedbed.auditing import cures, digests, files, growth, origins, spread
from seedbed.auditing.causes import OTHER_ENGINE, cause_of
from seedbed.auditing.closely import line_parting
from seedbed.auditing.conditions import Circumstances, Condition
from seedbed.auditing.findings import Audit, Cure, Origin, Outcome, Spread, Structure
from seedbed.auditing.lab import Lab, Observation
from seedbed.auditing.lint import Finding
from seedbed.auditing.observing import Window
from seedbed.auditing.of_programs import audit_program
from seedbed.auditing.seen import seen
from seedbed.auditing.setting import REFERENCE, Setting
from seedbed.auditing.subject import Source
from seedbed.auditing.tape import Kind, Parting, Tape, parting, to_no_effect
from seedbed.auditing.timings import times_of, without_times
from seedbed.auditing.training import steps_per_epoch
from seedbed.auditing.watching import Silent, Watcher
from seedbed.building import make_data, make_model
from seedbed.devices import parse
from seedbed.errors import InputError, SeedbedError, WorkerError, first_line
from seedbed.executors import check_sendable
from seedbed.experiments import Experiment, primary_score
from seedbed.programs import Program
from seedbed.runner import check_caller
from seedbed.seeds import LARGEST_SEED, ROLES, Assignment, check_seed
from seedbed.stats.checks import count
from seedbed.store import DEFAULT, Likeness
from seedbed.torch_settings import settings_for
from seedbed.trials import Trial

GROWTH_OF_SEEDS = 1  # the seed after is trained too, to measure distances of weights by
ONE_STEP = "compared after the first step only, since an engine trains whole epochs"
OVERWRITTEN = "a buffer holds other values at first, is written over before anything reads it, and all else is the same"
FEEDS_TRAINING = "what it draws from model.eval() to model.train() is trained on, such as a rollout, and no evaluation"
UNUSED = "rows hold something else, of which nothing came, such as padding, a path, or names in another order"
STRUCTURES = 8  # seeds under which a model is made, to see whether its structure depends on them


def audit(
    experiment: Experiment | Trial | Program,
    seed: int | Assignment = 0,
    *,
    conditions: Sequence[str] | None = None,
    steps: int | None = None,
    split: int = 0,
    threads: int = 1,
    device: str = "cpu",
    store: str | os.PathLike[str] = DEFAULT,
    matters: bool = True,
    watcher: Watcher | None = None,
) -> Audit:
    """Find out whether one seed gives one result.

    The run is trained again under each condition, in a process of its own, and every step of it is compared with the
    run as it is. Where they part, both are trained to there once more, and the first operation or line that differs is
    found.

    Args:
        experiment: an Experiment, a function decorated with ``seedbed.trial``, or a ``Program``, of which the results
            alone are compared.
        seed: of the run.
        conditions: which ones, such as ``["again", "threads=2"]``; all that apply where not given.
        steps: of training, where not all of it is to be looked at.
        split: the split seed.
        threads: of torch in the run as it is.
        device: that computes it.
        store: where a study may tell the spread over seeds.
        matters: also say how large differences are beside the spread over seeds; where the store has no study, a few
            seeds are trained for it.
        watcher: an object with the methods ``begun(what)``, told of each part, and ``said(line)``, of what runs print.

    Raises:
        InputError: the experiment, or a condition, cannot be used.
        WorkerError: the run itself fails.
    """
    check_caller(experiment)
    if isinstance(experiment, Program):
        if steps is not None or split or device != "cpu":
            raise InputError("a program is audited by its results: steps, split and device are its own affair")
        return audit_program(
            experiment, seed, conditions=conditions, threads=threads, store=store, matters=matters, watcher=watcher
        )
    check_sendable(experiment.name, experiment)
    return audit_source(
        Source.of(experiment), experiment, seed, conditions=conditions, steps=steps, split=split, threads=threads,
        device=device, store=store, matters=matters, watcher=watcher,
    )  # fmt: skip


def audit_source(
    source: Source,
    subject: Experiment | Trial,
    seed: int | Assignment,
    *,
    conditions: Sequence[str] | None,
    steps: int | None,
    split: int,
    threads: int,
    device: str,
    store: str | os.PathLike[str],
    matters: bool,
    watcher: Watcher | None,
) -> Audit:
    """As ``audit``, of what processes make from a source; ``subject`` is what it makes here."""
    assignment = seed if isinstance(seed, Assignment) else Assignment.plain(check_seed(seed), split)
    if steps is not None:
        count(steps, "steps")
    conditions_.check_threads(threads)
    if conditions is not None:
        conditions_.check(conditions)
    if isinstance(subject, Trial):
        subject.check((assignment,))
    with tempfile.TemporaryDirectory(prefix="seedbed-audit-", ignore_cleanup_errors=True) as folder:
        return _Auditing(
            source, subject, assignment, steps, Setting(threads=threads, device=parse(device).name), store,
            Path(folder), watcher or Silent(),
        ).audit(conditions, matters)  # fmt: skip


class _Auditing:
    def __init__(
        self,
        source: Source,
        subject: Experiment | Trial,
        assignment: Assignment,
        limit: int | None,
        base: Setting,
        store: str | os.PathLike[str],
        folder: Path,
        watcher: Watcher,
    ) -> None:
        self._subject, self._assignment, self._limit, self._base = subject, assignment, limit, base
        self._store, self._watcher = store, watcher
        device = parse(base.device)
        device.check()
        device.prepare()
        self._settings = settings_for(device)
        self._environment = environment.capture(device=device, settings=self._settings)
        self._lab = Lab(source, assignment, folder, limit, self._settings, watcher.said, self._ended)
        self._names: dict[Setting, str] = {}
        self._ended_runs = self._runs = 0

    def audit(self, names: Sequence[str] | None, matters: bool) -> Audit:
        lint = files.read(self._subject)
        kept = spread.comparison(self._subject, self._assignment, self._store)
        self._watcher.begun("the run as it is")
        plain = self._lab[self._base]
        self._ended_runs = 1
        if plain.error is not None:
            raise WorkerError(f"{self._subject.name} cannot be trained under seed {self._assignment}: {plain.error}")
        primary = self._primary(plain)
        found = self._circumstances(plain)
        wanted = (
            conditions_.proposed(self._base, found) if names is None else conditions_.chosen(names, self._base, found)
        )
        next_seed = self._base.but(seed_offset=GROWTH_OF_SEEDS)
        settings = [setting for each in wanted for setting in (each.against, each.setting)]
        self._names = {each.setting: each.words for each in wanted} | {self._base: "", next_seed: "the next seed"}
        self._runs = len({self._base, *settings} | ({next_seed} if matters else set()))
        self._watcher.begun(f"{self._ended_runs} of {self._runs} runs trained")
        self._lab.observe([*settings, next_seed] if matters else settings)
        left_out = {} if names is not None else self._refused(wanted)
        all_steps = self._all_steps()
        is_whole = self._is_whole(plain, all_steps)
        outcomes: list[Outcome] = []
        for each in (each for each in wanted if each.words not in left_out):
            outcomes.append(self._outcome(each, primary, outcomes))
        over_seeds, missing = None, None
        if matters and primary is not None and any(each.repeats is False for each in outcomes):
            self._watcher.begun("the spread over seeds")
            over_seeds, missing = self._spread(primary, kept)
        return Audit(
            name=self._subject.study_name,
            seeds=str(self._assignment),
            primary=primary,
            base=conditions_.base_words(self._base, plain.notes.get("threads")),
            steps=plain.steps,
            outcomes=tuple(outcomes),
            all_steps=None if is_whole else all_steps,
            is_whole=is_whole,
            times=() if plain.result is None else times_of(plain.result.scores),
            spread=over_seeds,
            spread_missing=missing,
            structure=self._structure(plain),
            lint=tuple(self._with_seen(lint, plain)),
            left_out=tuple(left_out.items()),
            environment=dict(self._environment.identity),
            is_of_stored=kept is not None and not kept.differences,
        )

    def _ended(self, observation: Observation) -> None:
        if self._runs and observation.setting in self._names:
            self._ended_runs += 1
            words = self._names[observation.setting]
            self._watcher.begun(f"{self._ended_runs} of {self._runs} runs trained, the last: {words}")

    def _refused(self, wanted: Sequence[Condition]) -> dict[str, str]:
        """Conditions that were proposed and turned out to be none, in words, and why: engines that cannot run it, and
        evaluations that are none."""
        errors = {each.words: self._lab[each.setting].error for each in wanted if each.family == "engine"}
        refused = {words: error for words, error in errors.items() if error and error.startswith(InputError.__name__)}
        feeding = {each.words: FEEDS_TRAINING for each in wanted if self._feeds_training(each)}
        return {words: first_line(error).partition(": ")[2] for words, error in refused.items()} | feeding

    def _feeds_training(self, condition: Condition) -> bool:
        """Whether what a trial draws in evaluation is trained on, so that to undo it makes another program of it."""
        if condition.family != "evaluation" or not isinstance(self._subject, Trial):
            return False
        one, other = self._lab[condition.against], self._lab[condition.setting]
        if one.error is not None or other.error is not None:
            return False
        return origins.feeds_training(self._lab, condition, one, other)

    def _with_seen(self, lint: Sequence[Finding], plain: Observation) -> list[Finding]:
        """What reading the files found, and what else was seen in the run."""
        again = self._lab.known(self._base.but(repetition=1))
        known = {(str(Path(each.file).resolve()), each.line) for each in lint}
        found = seen(plain, None if again is None or again.error is not None else again)
        new = [each for each in found if (str(Path(each.file).resolve()), each.line) not in known]
        return [*lint, *dict.fromkeys(new)]

    def _primary(self, plain: Observation) -> str | None:
        if isinstance(self._subject, Trial):
            scores = plain.result.scores if plain.result is not None else {}
            if not scores:  # it was ended before it returned any
                return None
            return self._subject.primary or next(iter(without_times(scores)))
        return primary_score(self._subject, make_data(self._subject, self._assignment.split))

    def _all_steps(self) -> int | None:
        """Steps of the whole training, where not all are asked for; None where a trial decides them by itself."""
        if self._limit is None or isinstance(self._subject, Trial):
            return None
        return self._subject.epochs * steps_per_epoch(self._subject, make_data(self._subject, self._assignment.split))

    def _is_whole(self, plain: Observation, all_steps: int | None) -> bool:
        """Whether the training came to its end: a trial that was stopped has returned nothing."""
        if self._limit is None or plain.steps < self._limit:
            return True
        if isinstance(self._subject, Trial):
            return plain.result is not None and bool(plain.result.scores)
        return plain.steps == all_steps

    def _circumstances(self, plain: Observation) -> Circumstances:
        import torch

        devices = tuple(d for d in ("cuda",) if d != self._base.device and torch.cuda.is_available())
        return Circumstances(
            is_trial=isinstance(self._subject, Trial),
            loads_items=bool(plain.notes.get("loads_items")),
            evaluates=bool(plain.notes.get("evaluates")),
            capability=torch.backends.cpu.get_cpu_capability().lower(),
            devices=devices,
        )

    def _outcome(self, condition: Condition, primary: str | None, before: Sequence[Outcome]) -> Outcome:
        one, other = self._lab[condition.against], self._lab[condition.setting]
        speed = other.seconds_per_step
        timed = speed if math.isfinite(speed) else None
        compares_steps = condition.setting.engine == REFERENCE and not condition.setting.wide
        if one.error is not None:
            return Outcome(condition, None, f"what it is compared with failed: {first_line(one.error)}")
        if other.error is not None and not (compares_steps and _parts_before_its_end(condition, one, other)):
            return Outcome(condition, None, first_line(other.error), steps=other.steps)
        known = _known_already(condition, one, other, before)
        if known is None and self._feeds_training(condition):
            return Outcome(condition, None, FEEDS_TRAINING, steps=other.steps)
        origin, cause, tried = None, None, tuple[Cure, ...]()
        if condition.setting.engine != REFERENCE:
            origin, cause = self._origin_of_engine(one, other), OTHER_ENGINE
        elif condition.setting.wide:
            origin = Origin(None)
        elif known is not None:
            origin, cause, tried = self._origin_as_for(known, condition, one, other), known.cause, known.cures
        elif _part(condition, one, other) is not None:
            self._watcher.begun(f"{condition.words}: where they part")
            origin = origins.origin_of(self._lab, condition, one, other)
        short = condition.setting.engine != REFERENCE and self._limit is not None
        note = ONE_STEP if short else None
        if origin is None:
            apart = to_no_effect(one.tape, other.tape) if compares_steps else frozenset()
            if apart:
                note = UNUSED if Kind.BATCH in apart else OVERWRITTEN
            return Outcome(condition, True, note=note, after_one_step=short, steps=other.steps, seconds_per_step=timed)
        if cause is None and condition.kind != "yardstick":
            unstable = condition.is_repetition or self._is_unstable(other)
            other_draws = one.tape.draws_in_steps != other.tape.draws_in_steps
            cause = cause_of(condition, origin, unstable=unstable, other_draws=other_draws)
            if cause.cures:
                self._watcher.begun(f"{condition.words}: what would cure it")
                tried = tuple(cures.tried(self._lab, condition, origin, cause.cures, self._limit, unstable=unstable))
        next_seed = self._lab.known(self._base.but(seed_offset=GROWTH_OF_SEEDS))
        both = bool(one.result and one.result.scores and other.result and other.result.scores and other.error is None)
        return Outcome(
            condition,
            repeats=None if condition.kind == "yardstick" else False,
            why_not=None if other.error is None else first_line(other.error),
            note=note,
            after_one_step=short,
            origin=origin,
            cause=cause,
            cures=tried,
            as_for=None if known is None else known.condition.name,
            growth=growth.growth(one, other, None if next_seed is None or next_seed.error is not None else next_seed),
            effect=growth.effect(one.result, other.result, primary) if both else None,  # type: ignore[arg-type]
            steps=other.steps,
            seconds_per_step=timed,
        )

    def _origin_as_for(self, known: Outcome, condition: Condition, one: Observation, other: Observation) -> Origin:
        """Where a run parts that was not looked at, since another one was: at the same place for the same reason, or
        the run differs each time, and this one where it does."""
        own = _part(condition, one, other)
        assert known.origin is not None
        assert known.origin.parting is not None
        assert own is not None
        return known.origin if own.place == known.origin.parting.place else Origin(own)

    def _is_unstable(self, observation: Observation) -> bool:
        """Whether an equal run, where there was one, is not the same."""
        repeated = self._lab.known(observation.setting.but(repetition=1))
        return repeated is not None and parting(observation.tape, repeated.tape) is not None

    def _origin_of_engine(self, one: Observation, other: Observation) -> Origin | None:
        """An engine has no tape: its final weights and predictions tell whether it is the same; where some steps were
        asked for only, its weights after the first one."""
        if self._limit is None:
            assert one.result is not None
            assert other.result is not None
            found = [
                (each.weights_hash, digests.of_value(sorted(each.predictions.items())))
                for each in (one.result, other.result)
            ]
        else:
            found = [each.weights_digest(1) for each in (one, other)]  # type: ignore[misc]
        return None if found[0] == found[1] else Origin(None)

    def _spread(self, primary: str, kept: Likeness | None) -> tuple[Spread | None, str | None]:
        """The spread over seeds; or why it is not known."""
        options: dict[str, Any] = {"threads": self._base.threads}
        if isinstance(self._subject, Experiment):
            options["device"] = self._base.device
        try:
            if self._limit is not None:
                steps = self._lab[self._base].steps
                found = spread.of_short_runs(self._lab, self._base, primary, steps)
            else:
                found = spread.over_seeds(self._subject, primary, self._assignment, self._store, kept, options)
        except SeedbedError as error:
            return None, first_line(str(error))
        return found, None if found is not None else "too few runs ended well"

    def _structure(self, plain: Observation) -> Structure | None:
        differing = self._structures_of_seeds(plain)
        place = next((k for k in range(len(plain.tape)) if plain.tape[k].kind is Kind.STRUCTURE), None)
        if not differing or place is None:
            return None
        pair = [self._base, self._base.but(seed_offset=min(differing))]
        ours, theirs = self._lab.closely(pair, Window(0, place), 1)
        line = line_parting(ours.folder, theirs.folder, variables_but=("seed", *ROLES))
        seeds = {(self._assignment.init + offset) % (LARGEST_SEED + 1): text for offset, text in differing.items()}
        return Structure(seeds, line)

    def _structures_of_seeds(self, plain: Observation) -> dict[int, str]:
        """By how much another seed is larger, to how a model's structure is another under it."""
        if isinstance(self._subject, Trial):
            other = self._lab.known(self._base.but(seed_offset=GROWTH_OF_SEEDS))
            if other is None or other.error is not None:
                return {}
            pairs = zip(_structures(plain.tape), _structures(other.tape), strict=False)
            if all(ours == theirs for ours, theirs in pairs):
                return {}
            return {GROWTH_OF_SEEDS: "other parameters, or other shapes of them"}
        shapes: dict[int, dict[str, str]] = {}
        for offset in range(STRUCTURES):
            with generators.seeded((self._assignment.init + offset) % (LARGEST_SEED + 1)):
                try:
                    shapes[offset] = digests.structure(make_model(self._subject))
                except Exception:  # what the user's code raises under another seed is no finding of this one
                    continue
        own = shapes.pop(0, None)
        if own is None:
            return {}
        return {offset: _other_shape(own, theirs) for offset, theirs in shapes.items() if theirs != own}


def _other_shape(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    name = next(each for each in {**one, **other} if one.get(each) != other.get(each))
    return f"{name} {other.get(name, 'is not there')}, here {one.get(name, 'not there')}"


def _part(condition: Condition, one: Observation, other: Observation) -> Parting | None:
    """Where the two runs of a condition part."""
    return parting(one.tape, other.tape, across_devices=condition.crosses_devices)


def _parts_before_its_end(condition: Condition, one: Observation, other: Observation) -> bool:
    """Of a run that failed: whether it parted from the other one before that."""
    found = _part(condition, one, other)
    return found is not None and found.other is not None


def _known_already(
    condition: Condition, one: Observation, other: Observation, before: Sequence[Outcome]
) -> Outcome | None:
    """An outcome that explains this one too: of a run that does not repeat unchanged, which parts there under every
    condition; or of the same kind of condition, at the same place."""
    own = _part(condition, one, other)
    for each in before:
        found = None if each.origin is None else each.origin.parting
        if each.repeats is not False or found is None or own is None:
            continue
        unchanged = each.condition.name == "again" and each.condition.against == condition.against
        alike = each.condition.family == condition.family == "hash"
        if (unchanged and own.place >= found.place) or (alike and own.place == found.place):
            return each
    return None


def _structures(tape: Tape) -> list[int]:
    """Of the models that were made before the first step ended."""
    found = []
    for place in range(len(tape)):
        record = tape[place]
        if record.kind is Kind.STEP:
            break
        if record.kind is Kind.STRUCTURE:
            found.append(record.digest)
    return found
