"""A trial that cannot be trained."""

import seedbed as sb


@sb.trial
def fault(seed: int) -> dict[str, float]:
    raise RuntimeError("no such luck")
