"""Studies in memory whose numbers are chosen, as if an engine had computed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seedbed.fingerprint import Fingerprint
from seedbed.study import Study


def computed(scores: Mapping[str, Sequence[float]], seeds: Any, name: str = "made", epochs: int = 30) -> Study:
    """A study of one experiment with these scores; a run with a NaN among them diverged."""
    study = Study.from_scores({name: {key: list(values) for key, values in scores.items()}}, seeds)[name]
    identity = replace(
        study.identity, engine="reference", threads=1, device="cpu", fingerprint=Fingerprint({"epochs": epochs}, {}, {})
    )
    return replace(study, identity=identity)
