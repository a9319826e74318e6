"""The Hub clients' errors in an upload, as one that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

from luab_data.errors import SourceError
from luab_data.hub.retry import reason

_REFUSED = (401, 403, 404)


@contextmanager
def upload_errors(repo_id: str) -> Iterator[None]:
    """Converts the Hub clients' errors into one that says what to do."""
    try:
        yield
    except HFValidationError as error:
        raise SourceError(f"--push-to-hub {repo_id!r} is no name of a repository: {reason(error)}") from error
    except (HTTPError, OSError, RuntimeError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code in _REFUSED:
            raise SourceError(
                f"--push-to-hub {repo_id}: the Hub refuses it: {reason(error)} Log in with `hf auth login` "
                "(or set HF_TOKEN) as a user who may write there, with a token that may write."
            ) from error
        raise SourceError(
            f"--push-to-hub {repo_id}: the upload stopped: {reason(error)} What is uploaded stays: run the "
            "same command again to resume."
        ) from error
