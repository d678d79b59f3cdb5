"""Results that exist already: scores by group, run and metric, given in Python or read from a table.

``read_scores`` reads a file, ``as_scores`` takes lists; ``Study.from_scores`` makes a study of each group of either.
"""

from seedbed.scores.data import IMPORTED, GroupScores, NothingKept, Scores, as_scores, check_name, direction_settings
from seedbed.scores.forms import FORMS, Form, read_scores

__all__ = [
    "FORMS",
    "IMPORTED",
    "Form",
    "GroupScores",
    "NothingKept",
    "Scores",
    "as_scores",
    "check_name",
    "direction_settings",
    "read_scores",
]
