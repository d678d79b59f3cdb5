"""Statistics on plain arrays. Knows nothing of torch, studies or files."""

from seedbed.stats.summary import Summary, summarize

__all__ = ["Summary", "summarize"]
