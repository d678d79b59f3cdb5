"""Where a store is: a path, or a database's URL, which is never shown with its password."""

from __future__ import annotations

import os
import re

_PASSWORD = re.compile(r"^([\w+]+://[^:/]*:)[^@]*(?=@)")  # as SQLAlchemy reads a URL, which is not loaded for this
_IN_QUERY = re.compile(r"([?&](?:password|sslpassword)=)[^&]*")


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether it is a database's URL, and not a path."""
    return "://" in os.fspath(location)


def shown(location: str | os.PathLike[str]) -> str:
    """A store's place as it is shown to people, in errors and messages: with ``***`` for a password."""
    text = os.fspath(location)
    return _IN_QUERY.sub(r"\1***", _PASSWORD.sub(r"\1***", text)) if is_url(text) else text
