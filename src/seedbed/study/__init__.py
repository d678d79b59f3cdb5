"""Study, the read model: many runs of one experiment, in memory or in a store."""

from seedbed.study.identity import Archive, StoredRun, StudyIdentity
from seedbed.study.study import Study

__all__ = ["Archive", "StoredRun", "Study", "StudyIdentity"]
