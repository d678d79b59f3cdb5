"""Studies in a database: a SQLite file by default, or any URL that SQLAlchemy knows and the conformance suite passes."""

from seedbed.store.reading import StudyLine, load, studies
from seedbed.store.writing import StudyWriter, Wanted, delete

DEFAULT = "seedbed.db"

__all__ = ["DEFAULT", "StudyLine", "StudyWriter", "Wanted", "delete", "load", "studies"]
