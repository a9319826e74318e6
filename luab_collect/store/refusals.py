"""What a change answers instead of a result: a code that the pages know, and a sentence for people."""


class Refusal(Exception):
    """A request that cannot be granted; `writer` undoes the change that raised it, and no other.

    Attributes:
        code: For programs, such as "gap".
        reason: For people, one sentence.
        more: Further fields of the answer.
    """

    def __init__(self, code: str, reason: str, **more: int | str):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.more = more
