"""Model cards with the results: the checkpoint's own card with them, or a new one."""

import warnings
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError

from luab_data.console.names import file_name
from luab_data.hub.retry import reason
from luab_eval.models import TIMM
from luab_eval.report.markdown import update_card
from luab_eval.report.table import Model, Table

README = "README.md"


def write_card(cards: Path, table: Table, model: Model, checkpoint: str | None) -> None:
    """Write `<model>.md` into `cards`.

    Args:
        cards: The folder; it is made.
        table: The results.
        model: The model, a column of the table.
        checkpoint: The folder or Hub id of its first run; None: unknown.
    """
    cards.mkdir(exist_ok=True)
    card = cards / f"{file_name(model.name)}.md"  # a model's name may be a path
    card.unlink(missing_ok=True)
    own = None if checkpoint is None else _own_card(checkpoint, model.revision, card)
    if own is not None:
        card.write_bytes(own.read_bytes())
        try:
            update_card(card, table, model.name)
        except Exception as error:  # whatever a stranger's YAML makes of it; the results are there already
            card.unlink()
            _say_new(checkpoint, card, f"is unreadable: {reason(error)[:300]}")
        else:
            return
    update_card(card, table, model.name)


def _own_card(checkpoint: str, revision: str, card: Path) -> Path | None:
    """The checkpoint's README.md, of the evaluated revision; None if there is none, or it cannot be had."""
    folder = Path(checkpoint)
    if folder.is_dir() or checkpoint.startswith(TIMM):
        return folder / README if (folder / README).is_file() else None
    try:
        return Path(hf_hub_download(checkpoint, README, revision=revision or None))
    except RemoteEntryNotFoundError:
        return None
    except (OSError, ValueError) as error:  # base classes of the Hub's and its client's errors
        _say_new(checkpoint, card, f"cannot be had from the Hub: {reason(error)}")
        return None


def _say_new(checkpoint: str | None, card: Path, why: str) -> None:
    warnings.warn(f"{checkpoint}: {card} is a new model card, for its {README} {why}", stacklevel=2)
