"""The two ways that input can be bad: one record of many, or the source that the user named."""


class RejectedRecord(ValueError):
    """One record (an XML, an image, a JSON entry) that cannot become part of a row; the others go on.

    `reason` is one line for people: what was found, where in the record, and what is allowed. It does not
    name the file: whoever reads the record knows it and writes it beside the reason.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class SourceError(ValueError):
    """What the user passed cannot be used as a whole.

    A missing folder, a gated repository, a foreign archive. The message names the argument, what it got, what
    is allowed, and the fix.
    """


INTERNAL_ERROR = "internal error"  # how the reason begins of a record on which our own code failed
# What says nothing of one record: the source as a whole, or this machine.
PASSED_ON = (SourceError, MemoryError)


def internal_error(error: Exception) -> str:
    """The reason for rejecting a record on which our code raised `error`.

    It is a bug of ours, or a new kind of damage.
    """
    found = " ".join(str(error).split())[:200]
    return f"{INTERNAL_ERROR}: {type(error).__name__}: {found!a}"
