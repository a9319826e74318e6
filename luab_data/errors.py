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
    """What the user passed cannot be used as a whole: a missing folder, a gated repository, a foreign
    archive.

    The message names the argument, what it got, what is allowed, and the fix.
    """
