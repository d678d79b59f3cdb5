"""What the six seeds of the demonstration would have told you, beside all the seeds that a study holds.

python examples/six_seeds.py [STORE] [STUDY]
"""

from __future__ import annotations

import sys

import numpy as np

import seedbed as sb
from seedbed.stats import summarize

SIX = (0, 3, 5, 363, 366, 999)


def main(store: str = "demo.db", name: str = "people") -> None:
    """Compare the six seeds with all of the study."""
    study = sb.load(name, store)
    score = study.identity.primary
    values = study[score]
    six = study.select(SIX)[score]
    told, known = summarize(six), summarize(values)
    low, high = f"{told.minimum:.4f}", f"{told.maximum:.4f}"
    print(
        f"Six seeds ({', '.join(map(str, SIX))}): {score} from {low} to {high}, mean {told.mean:.4f} ± {told.sd:.4f}."
    )
    print(
        f"All {known.n} seeds: from {known.minimum:.4f} to {known.maximum:.4f}, mean {known.mean:.4f} ± {known.sd:.4f}."
    )
    above, below = np.mean(values > told.maximum), np.mean(values < told.minimum)
    print(f"{above:.1%} of the seeds lie above the best of the six, and {below:.1%} below their worst.")
    lucky = study.expected_best(len(SIX)).estimate
    print(
        f"The best of six seeds drawn at random is {lucky:.4f} on average: {lucky - known.mean:+.4f} beside the mean, "
        f"all of it luck."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
