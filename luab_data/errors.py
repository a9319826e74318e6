"""The two kinds of bad input: a single record, or a whole source."""


class RejectedRecord(ValueError):
    """One record (an XML, an image, a JSON entry) is invalid and is skipped; the others are used.

    `reason` is a one-line message: what was found, where in the record, and what is allowed. It does not name
    the file; the caller knows it and adds it.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class SourceError(ValueError):
    """An argument of the user is unusable as a whole.

    Examples: a missing folder, a gated repository, an unknown archive. The message names the argument, its
    value, what is allowed, and the fix.
    """


INTERNAL_ERROR = "internal error"  # prefix of the reason if our own code failed on a record
# Errors of the whole source or of this machine, not of one record.
PASSED_ON = (SourceError, MemoryError)


def internal_error(error: Exception) -> str:
    """The reason for rejecting a record on which our code raised `error`.

    This is a bug of ours, or an unknown kind of damage.
    """
    found = " ".join(str(error).split())[:200]
    return f"{INTERNAL_ERROR}: {type(error).__name__}: {found!a}"
