"""Study, the read model: many runs of one experiment, in memory or in a store."""

from seedbed.study.identity import PROGRAM, TRIAL, Archive, StoredRun, StudyIdentity
from seedbed.study.study import Study

__all__ = ["PROGRAM", "TRIAL", "Archive", "StoredRun", "Study", "StudyIdentity"]
