"""An audit as JSON values: whole, for programs, and what is kept of it with its study."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.auditing.findings import Audit, Outcome
from seedbed.words import auditing, parting
from seedbed.words.text import json_value


def as_json(audit: Audit) -> dict[str, Any]:
    """An audit as JSON values."""
    return {
        "name": audit.name,
        "seeds": audit.seeds,
        "base": audit.base,
        "steps": audit.steps,
        "all_steps": audit.all_steps,
        "is_whole": audit.is_whole,
        "repeats": audit.repeats,
        "verdict": auditing.verdict(audit),
        "primary": audit.primary,
        "spread": json_value(None if audit.spread is None else dataclasses.asdict(audit.spread)),
        "conditions": [_outcome_json(each) for each in audit.outcomes],
        "times": audit.times,
        "left_out": dict(audit.left_out),
        "structure": json_value(None if audit.structure is None else dataclasses.asdict(audit.structure)),
        "lint": [dataclasses.asdict(each) for each in audit.lint],
        "environment": json_value(dict(audit.environment)),
    }


def as_kept(audit: Audit) -> dict[str, Any]:
    """What is kept of an audit with its study, for a report: its words, and the growth of what differs, as JSON values.

    ``growth`` and ``growth_of_seeds`` are as of ``growth``.
    """
    growths, seeds = growth(audit)
    kept: dict[str, Any] = json_value(
        {
            "verdict": auditing.verdict(audit),
            "headings": auditing.headings(audit),
            "rows": auditing.rows(audit),
            "findings": [[words, sentences] for words, sentences in auditing.findings(audit)],
            "notes": [*auditing.notes(audit), *auditing.lint_lines(audit)],
            "conditions": [each.condition.name for each in audit.outcomes],
            "is_whole": audit.is_whole,
            "growth": growths,
            "growth_of_seeds": seeds,
        }
    )
    return kept


def saw_more(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether of two kept audits the one was of all steps and the other was not, or of further conditions too."""
    if one.get("is_whole") != other.get("is_whole"):
        return bool(one.get("is_whole"))
    return set(one.get("conditions", ())) > set(other.get("conditions", ()))


def growth(audit: Audit) -> tuple[dict[str, list[list[float]]], list[list[float]]]:
    """How what differs grows: condition to its [step, distance]; and the same between two seeds."""
    between = (
        [[point.step, point.seeds] for point in each.growth if point.seeds is not None] for each in audit.differing
    )
    growths = {each.condition.words: [[p.step, p.distance] for p in each.growth] for each in audit.differing}
    return {name: _known(points) for name, points in growths.items()}, _known(max(between, key=len, default=[]))


def _known(points: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(point) for point in points if math.isfinite(point[1])]


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    origin = outcome.origin
    record = None if origin is None or origin.parting is None else origin.parting.record
    found: dict[str, Any] = {
        "condition": outcome.condition.name,
        "kind": outcome.condition.kind,
        "repeats": outcome.repeats,
        "why_not": outcome.why_not,
        "note": outcome.note,
        "as_for": outcome.as_for,
        "steps": outcome.steps,
        "seconds_per_step": outcome.seconds_per_step,
        "origin": None,
        "cause": None if outcome.cause is None else outcome.cause.name,
        "why": None if outcome.cause is None else outcome.cause.why,
        "remedy": None if outcome.cause is None else outcome.cause.remedy,
        "cures": [dataclasses.asdict(each) for each in outcome.cures],
        "growth": [dataclasses.asdict(each) for each in outcome.growth],
        "effect": None if outcome.effect is None else dataclasses.asdict(outcome.effect),
    }
    if origin is not None:
        found["origin"] = {
            "step": None if record is None else record.step,
            "record": None if record is None else record.kind.name.lower(),
            "label": None if record is None else record.label,
            "structural": None if origin.parting is None else origin.parting.is_structural,
            "operation": None if origin.operation is None else dataclasses.asdict(origin.operation),
            "line": None if origin.line is None else dataclasses.asdict(origin.line),
            "seeding": origin.seeding,
            "within_libraries": origin.within_libraries,
            "caught": origin.caught,
            "in_words": parting.sentence(origin),
        }
    converted: dict[str, Any] = json_value(found)
    return converted
