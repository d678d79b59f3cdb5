"""Studies in a database: a SQLite file by default, or a database by its URL."""

from seedbed.store.audits import keep_audit, kept_audit
from seedbed.store.importing import add_scores
from seedbed.store.keeping import VERIFICATION
from seedbed.store.merging import Merged, merge
from seedbed.store.progress import Progress, progress
from seedbed.store.reading import Likeness, StudyLine, compared, load, stored_engine, stored_identity, studies
from seedbed.store.stoppings import note_stopping, stoppings
from seedbed.store.verifications import dismiss, recall, remember, witnesses
from seedbed.store.writing import StudyWriter, Wanted, delete

DEFAULT = "seedbed.db"

__all__ = [
    "DEFAULT",
    "VERIFICATION",
    "Likeness",
    "Merged",
    "Progress",
    "StudyLine",
    "StudyWriter",
    "Wanted",
    "add_scores",
    "compared",
    "delete",
    "dismiss",
    "keep_audit",
    "kept_audit",
    "load",
    "merge",
    "note_stopping",
    "progress",
    "recall",
    "remember",
    "stoppings",
    "stored_engine",
    "stored_identity",
    "studies",
    "witnesses",
]
