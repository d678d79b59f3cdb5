"""Scores of crossed factors, or of groups, as mean squares; and as what is left of them without one level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS_FOR_JACKKNIFE = 30  # of a factor; below, the jackknife's own spread is too uncertain
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of the largest score: a spread below that is none


@dataclass(frozen=True)
class Square:
    """A mean square with its degrees of freedom."""

    value: float
    degrees: int

    @classmethod
    def of(cls, total: float, degrees: int, floor: float) -> Square:
        """Of a sum of squares; one that rounding alone explains is 0."""
        value = total / degrees
        return cls(0.0 if value <= floor else value, degrees)


@dataclass(frozen=True)
class Dropped:
    """What the estimates are when one level of a factor is left out, for each level [levels].

    Attributes:
        main: of the component of the factor itself.
        interaction: of the interaction, without the noise.
        squares: the mean square of the interaction, with the noise.
        noise: of the noise within cells.
    """

    main: NDArray[np.float64]
    interaction: NDArray[np.float64]
    squares: NDArray[np.float64]
    noise: NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """A table as mean squares, each in units of one run, and as what is left without one level.

    Attributes:
        noise: within cells; 0 with 0 degrees of freedom where cells hold one run.
        init_means, order_means: from the grand mean [init], [order].
        left: cell means less both [init, order].
        within: scores less the mean of their cell [init, order, replicate]; 0 where cells hold one run.
        drop_init, drop_order: None where the factor has too few levels.
    """

    init: Square
    order: Square
    interaction: Square
    noise: Square
    init_means: NDArray[np.float64]
    order_means: NDArray[np.float64]
    left: NDArray[np.float64]
    within: NDArray[np.float64]
    drop_init: Dropped | None
    drop_order: Dropped | None

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Parts:
        a, b, n = scores.shape
        floor = (ROUNDING * float(np.abs(scores).max())) ** 2
        # Differences from one score keep their digits where the scores themselves are large.
        from_first = scores - scores[0, 0, 0]
        cells = from_first.mean(axis=2)
        inits = cells.mean(axis=1) - cells.mean()
        orders = cells.mean(axis=0) - cells.mean()
        left = cells - cells.mean() - inits[:, None] - orders
        within = from_first - cells[:, :, None]
        inside = (within**2).sum(axis=2)
        noise = Square.of(float(inside.sum()), a * b * (n - 1), floor) if n > 1 else Square(0.0, 0)
        init = Square.of(b * n * float((inits**2).sum()), a - 1, floor * b * n)
        order = Square.of(a * n * float((orders**2).sum()), b - 1, floor * a * n)
        interaction = Square.of(n * float((left**2).sum()), (a - 1) * (b - 1), floor * n)
        return cls(
            init=init,
            order=order,
            interaction=interaction,
            noise=noise,
            # What rounding alone explains has no tails to speak of.
            init_means=inits * (init.value > 0),
            order_means=orders * (order.value > 0),
            left=left * (interaction.value > 0),
            within=within * (noise.value > 0),
            drop_init=dropped_levels(inits, left, inside, n),
            drop_order=dropped_levels(orders, left.T, inside.T, n),
        )


def dropped_levels(
    means: NDArray[np.float64], left: NDArray[np.float64], inside: NDArray[np.float64], n: int
) -> Dropped | None:
    """Leave each of the levels of the first factor out in turn.

    A sum of squares about a mean loses k/(k - 1) times the squared deviation of the value that goes, of k values.
    """
    k, other = left.shape
    if k < LEVELS_FOR_JACKKNIFE:
        return None
    grow = k / (k - 1)
    main = other * n * ((means**2).sum() - grow * means**2) / (k - 2)
    interaction = n * ((left**2).sum() - grow * (left**2).sum(axis=1)) / ((k - 2) * (other - 1))
    noise = (inside.sum() - inside.sum(axis=1)) / ((k - 1) * other * (n - 1)) if n > 1 else np.zeros(k)
    return Dropped((main - interaction) / (other * n), (interaction - noise) / n, interaction, noise)


def dropped_groups(
    sizes: NDArray[np.int64], means: NDArray[np.float64], inside: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The variance between and within groups with each group left out in turn [groups], [groups]."""
    total = sizes.sum() - sizes
    runs = np.maximum(total - (len(sizes) - 1), 1)  # 0 where only the group that goes has two runs: within is 0 then
    within = (inside.sum() - inside) / runs
    sums, squares = sizes * means, sizes * means**2
    between = (squares.sum() - squares - (sums.sum() - sums) ** 2 / total) / (len(sizes) - 2)
    n0 = (total - ((sizes**2).sum() - sizes**2) / total) / (len(sizes) - 2)
    return (between - within) / n0, within
