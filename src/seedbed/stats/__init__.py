"""Statistics on plain arrays. Knows nothing of torch, studies or files."""

from seedbed.stats.best import Holdout, Luck, best_seed_holdout, expected_best, expected_bests, luck_of
from seedbed.stats.compare import Comparison, Wins, compare
from seedbed.stats.component import Component
from seedbed.stats.components import (
    Isolated,
    OneWay,
    VarianceComponents,
    isolate,
    one_way,
    variance_components,
)
from seedbed.stats.crossed import crossed_mean_interval
from seedbed.stats.examples import (
    TestSetLuck,
    disagreement,
    ensemble_gain,
    seeds_and_examples_interval,
    test_set_luck,
)
from seedbed.stats.factors import CrossedComponents, crossed_components
from seedbed.stats.interval import Interval, Scope
from seedbed.stats.one_sample import iqm, mean_interval, next_interval, quantile_interval, sd_interval
from seedbed.stats.planning import seeds_for_probability, seeds_for_width, seeds_needed
from seedbed.stats.proportions import share_interval
from seedbed.stats.sequences import (
    ConfidenceSequence,
    Decision,
    difference_sequence,
    fixed_width,
    mean_sequence,
    stein_interval,
    stein_second_stage,
)
from seedbed.stats.several import Aggregate, Comparisons, adjust, aggregate, compare_many, violation_ratio
from seedbed.stats.small_studies import SmallStudies, small_studies
from seedbed.stats.summary import Summary, summarize
from seedbed.stats.superiority import probability_better

__all__ = [
    "Aggregate",
    "Comparison",
    "Comparisons",
    "Component",
    "ConfidenceSequence",
    "CrossedComponents",
    "Decision",
    "Holdout",
    "Interval",
    "Isolated",
    "Luck",
    "OneWay",
    "Scope",
    "SmallStudies",
    "Summary",
    "TestSetLuck",
    "VarianceComponents",
    "Wins",
    "adjust",
    "aggregate",
    "best_seed_holdout",
    "compare",
    "compare_many",
    "crossed_components",
    "crossed_mean_interval",
    "difference_sequence",
    "disagreement",
    "ensemble_gain",
    "expected_best",
    "expected_bests",
    "fixed_width",
    "iqm",
    "isolate",
    "luck_of",
    "mean_interval",
    "mean_sequence",
    "next_interval",
    "one_way",
    "probability_better",
    "quantile_interval",
    "sd_interval",
    "seeds_and_examples_interval",
    "seeds_for_probability",
    "seeds_for_width",
    "seeds_needed",
    "share_interval",
    "small_studies",
    "stein_interval",
    "stein_second_stage",
    "summarize",
    "test_set_luck",
    "variance_components",
    "violation_ratio",
]
