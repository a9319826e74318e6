"""Lines that a run says once, however many processes it has."""

import os

from transformers.utils.logging import get_logger

from luab_data.console.text import printable, redact

logger = get_logger(__name__)


def say(text: str) -> None:
    """Logs a warning in the first of a run's processes, which a launcher numbers in the environment.

    It may hold names of strangers, who must not move the cursor.
    """
    if os.environ.get("RANK", "0") == "0":
        logger.warning(printable(redact(text)))
