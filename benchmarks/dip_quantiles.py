"""The table of quantiles in ``seedbed.stats.dip``: of sqrt(n) * dip of n uniform values, by simulation.

    python benchmarks/dip_quantiles.py [--draws 20000] [--seed 1985]

Prints ``SIZES`` and ``QUANTILES`` as they stand in the module, then each quantile with its Monte Carlo standard error.
More than 1,000 values are drawn less often: 5,000 half as often as ``--draws`` says, 20,000 a quarter. Takes about a
minute of one core.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seedbed.stats.dip import dip

SIGNIFICANCES = (0.05, 0.01, 0.001)
SHARES = {10: 1, 20: 1, 50: 1, 100: 1, 200: 1, 500: 1, 1000: 1, 5000: 2, 20000: 4}  # by size: a draw in so many


def scaled_dips(n: int, draws: int, rng: Generator) -> NDArray[np.float64]:
    """sqrt(n) * dip of ``draws`` samples of ``n`` uniform values, sorted."""
    # Sums of exponential values, over the sum of one more, are sorted uniform values; the dip does not mind the scale.
    found = [dip(np.cumsum(rng.standard_exponential(n))) for _ in range(draws)]
    return math.sqrt(n) * np.sort(found)


def quantile(ordered: NDArray[np.float64], significance: float) -> tuple[float, float]:
    """The quantile that ``significance`` of the distribution exceeds, and its standard error.

    The error is half the distance between the quantiles at one standard error of the share to either side.
    """
    p, draws = 1 - significance, len(ordered)
    error = math.sqrt(p * significance / draws)
    low, high = np.quantile(ordered, [p - error, min(p + error, 1.0)])
    return float(np.quantile(ordered, p)), float(high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1985)
    arguments = parser.parse_args()
    found = {}
    for n, share in SHARES.items():
        # Of a generator of its own, so that other sizes or draws of them change nothing here.
        ordered = scaled_dips(n, arguments.draws // share, np.random.default_rng([arguments.seed, n]))
        found[n] = {significance: quantile(ordered, significance) for significance in SIGNIFICANCES}
        shown = "  ".join(f"{found[n][each][0]:.4f} ± {found[n][each][1]:.4f}" for each in SIGNIFICANCES)
        print(f"{n:6d}  {len(ordered):6d} draws  {shown}", flush=True)
    print(f"SIZES = {tuple(found)}")
    print("QUANTILES = {")
    for significance in SIGNIFICANCES:
        # The quantiles grow with n: where one comes out below that of fewer values, it is by chance.
        row = np.maximum.accumulate([found[n][significance][0] for n in found])
        print(f"    {significance}: ({', '.join(f'{each:.4f}' for each in row)}),")
    print("}")


if __name__ == "__main__":
    main()
