"""Where this user's caches lie: what can be made again, and takes a while."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def folder() -> Path:
    """The folder; it need not exist. ``SEEDBED_CACHE`` names another one."""
    if named := os.environ.get("SEEDBED_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seedbed"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seedbed"
