"""The plan of a program's runs: whether they can be what was meant, and as which study."""

from __future__ import annotations

import json
from typing import Any

from seedbed import environment
from seedbed.fingerprint import Fingerprint
from seedbed.programs import Program
from seedbed.programs.task import ProgramTask
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.runner.trials import identity_of_own, refuse_training_options
from seedbed.seeds import Assignment
from seedbed.store import Wanted
from seedbed.study import PROGRAM


def prepare_program(program: Program, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs of a program are computed, and find out whether they can be.

    Raises:
        InputError: the program or an option cannot be used.
    """
    refuse_training_options(options, "a program")
    program.check(assignments, at_once=1 if options.workers in (0, 1) else 2)
    settings: dict[str, Any] = {
        name: value if isinstance(value, str | bool) or value is None else json.dumps(value)
        for name, value in program.settings().items()
    }
    name = options.name or program.study_name
    return Plan(
        assignments=assignments,
        task=ProgramTask(program, options.threads, options.retries),
        block_size=1,
        in_threads=True,
        identity=identity_of_own(
            options,
            name=name,
            experiment=program.study_name,
            parameters={},
            fingerprint=Fingerprint(settings, {}, program.source()),
            engine=PROGRAM,
            larger_is_better=program.larger_is_better,
            primary=program.primary,
        ),
        environment=environment.of_packages(program.environment()),
        splits={},
        wanted=Wanted(),
    )
