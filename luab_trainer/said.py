"""Messages that a run prints once, whatever its number of processes."""

import os

from transformers.utils.logging import get_logger

from luab_data.console.text import printable, redact

logger = get_logger(__name__)


def say(text: str) -> None:
    """Logs a warning in the run's first process, which the launcher marks in the environment.

    The text may have names from untrusted files, so control characters are removed.
    """
    if os.environ.get("RANK", "0") == "0":
        logger.warning(printable(redact(text)))
