"""What the seeds of several runs form: independent draws, a crossed table, or neither."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.seeds import ROLES, Assignment

WORDS = {"seed": "seeds", "init": "initial weights", "order": "order", "noise": "noise", "split": "split"}
SPARSE = 0.5  # of a table's cells: with fewer of them run, seeds were not crossed
LEAST = 2  # levels of a role that make a table

Kind = Literal["independent", "crossed", "entangled"]


@dataclass(frozen=True)
class Design:
    """What varies between runs, and how.

    Attributes:
        varied: role to its seeds in ascending order, where it has more than one; ``seed`` for plain seeds.
        fixed: role to its one seed.
        kind: ``independent``: no two runs share a seed of a role that varies. ``crossed``: the runs are every
            combination of the seeds of two or more roles. ``entangled``: runs share seeds in some other way, or plain
            seeds and roles are mixed, so that no interval that supposes independent runs holds.
    """

    varied: Mapping[str, tuple[int, ...]]
    fixed: Mapping[str, int]
    kind: Kind

    @property
    def words(self) -> str:
        """Such as ``64 of initial weights x 64 of order``."""
        parts = [f"{len(seeds)} of {WORDS[role]}" if role != "seed" else f"{len(seeds)} plain"
                 for role, seeds in self.varied.items()]  # fmt: skip
        return " x ".join(parts)

    @classmethod
    def of(cls, assignments: Sequence[Assignment]) -> Design:
        """The design of these runs."""
        plain = {each.is_plain for each in assignments}
        roles = ("seed", "split") if plain == {True} else ROLES
        levels = {role: tuple(sorted({getattr(each, role) for each in assignments})) for role in roles}
        varied = {role: found for role, found in levels.items() if len(found) > 1}
        fixed = {role: found[0] for role, found in levels.items() if len(found) == 1}
        count = len(assignments)
        kind: Kind = "entangled"
        if len(plain) < 2 and all(len(found) == count for found in varied.values()):
            kind = "independent"
        elif len(plain) < 2 and math.prod(map(len, varied.values())) == count:
            kind = "crossed"
        return cls(varied, fixed, kind)


@dataclass(frozen=True)
class Crossed:
    """Scores as a whole table.

    Attributes:
        scores: one axis a role [levels, levels, ...]; all finite.
        levels: role to the seeds along its axis, in the order of the axes.
        dropped: role to the seeds that were left out, since a run of theirs is missing or diverged.
    """

    scores: NDArray[np.float64]
    levels: Mapping[str, tuple[int, ...]]
    dropped: Mapping[str, tuple[int, ...]]

    @property
    def note(self) -> str:
        """What was left out, in words; empty where nothing was."""
        parts = [
            f"{role} {', '.join(map(str, seeds[:5]))}" + (f" and {len(seeds) - 5} more" if len(seeds) > 5 else "")
            for role, seeds in self.dropped.items()
        ]
        return f"left out, since a run of theirs is missing or diverged: {'; '.join(parts)}" if parts else ""


def crossed_table(assignments: Sequence[Assignment], values: ArrayLike, roles: Sequence[str]) -> Crossed:
    """The scores ``values`` [runs] of these runs as a table over ``roles``, made whole.

    Cells that are missing or not finite are cut out with few levels, one at a time: of all roles, the level with the
    largest share of such cells goes first. A level that the later ones made needless to leave out comes back. That
    keeps about as many runs as can be kept, and every level that is left out holds such a cell.

    Raises:
        InputError: less than half of the cells were run, or a role is left with fewer than 2 levels.
    """
    scores = np.asarray(values, dtype=np.float64)
    levels = {role: np.unique([getattr(each, role) for each in assignments]) for role in roles}
    shape = tuple(len(found) for found in levels.values())
    grid = " x ".join(f"{size} {role}" for role, size in zip(roles, shape, strict=True))
    if len(assignments) < SPARSE * math.prod(shape):
        raise InputError(
            f"the runs are no crossed design: {len(assignments)} of the {math.prod(shape)} combinations of {grid} seeds"
        )
    whole = np.full(shape, np.nan)
    where = tuple(np.searchsorted(found, [getattr(each, role) for each in assignments])
                  for role, found in levels.items())  # fmt: skip
    whole[where] = scores
    kept = {role: np.ones(len(found), dtype=bool) for role, found in levels.items()}
    broken, gone = ~np.isfinite(whole), []
    missing = broken
    while missing.any():
        worst, axis, level = -1.0, 0, 0
        # A role of two levels can lose none: another one must, as long as it has more.
        for i in [i for i, size in enumerate(missing.shape) if size > LEAST] or range(missing.ndim):
            share = missing.mean(axis=tuple(j for j in range(missing.ndim) if j != i))
            if share.max() > worst:
                worst, axis, level = float(share.max()), i, int(share.argmax())
        role = roles[axis]
        gone.append((role, int(np.flatnonzero(kept[role])[level])))
        kept[role][gone[-1][1]] = False
        missing = np.delete(missing, level, axis)
    for role, level in gone:
        kept[role][level] = True
        if broken[np.ix_(*kept.values())].any():
            kept[role][level] = False
    table = whole[np.ix_(*kept.values())]
    if min(table.shape) < LEAST:
        raise InputError(
            f"the table of {grid} seeds is not whole, and what is left without the runs that are missing or diverged "
            f"is {' x '.join(map(str, table.shape))}: at least 2 x 2 is needed"
        )
    return Crossed(
        scores=table,
        levels={role: tuple(int(level) for level in levels[role][kept[role]]) for role in roles},
        dropped={
            role: tuple(int(level) for level in levels[role][~kept[role]]) for role in roles if not kept[role].all()
        },
    )
