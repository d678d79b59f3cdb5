"""The few kinds of error. Each message says what was expected, what came, and what to do."""


class SeedbedError(Exception):
    """Base of every error that Seedbed raises on purpose. Its message is meant for the person at the keyboard."""


class InputError(SeedbedError, ValueError):
    """What was given cannot be used: an unknown name, a wrong type, a bad row, an impossible number."""


class StoreError(SeedbedError):
    """A store cannot be opened, read or written: not a database, a newer version, read-only, full."""


class NoStoreError(StoreError):
    """There is no store at a place, or not yet: no file, or a database without a store's tables."""


class IdentityError(SeedbedError):
    """What was asked does not belong to the study that is stored under that name, or contradicts a stored run."""


class WorkerError(SeedbedError):
    """A worker process could not do its work, for a reason that no single run is to blame for."""


def first_line(message: str) -> str:
    """The first line of a message, without the traceback that may follow."""
    return message.strip().partition("\n")[0]
