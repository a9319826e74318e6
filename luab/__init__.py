"""Train image classifiers on annotation byproducts. Names listed here are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luab.gallery.rows import show
    from luab_trainer.config import LUABConfig
    from luab_trainer.data.background import BackgroundMix
    from luab_trainer.data.cutmix import CutMix
    from luab_trainer.data.dataset import ViewDataset
    from luab_trainer.data.mixup import MixUp
    from luab_trainer.hub.checkpoint import load_checkpoint
    from luab_trainer.losses.attention import AttentionLoss
    from luab_trainer.losses.point import PointLoss
    from luab_trainer.model import LUABModel
    from luab_trainer.trainer import LUABTrainer

__version__ = "0.1.0"

_HOMES = {
    "AttentionLoss": "luab_trainer.losses.attention",
    "BackgroundMix": "luab_trainer.data.background",
    "CutMix": "luab_trainer.data.cutmix",
    "LUABConfig": "luab_trainer.config",
    "LUABModel": "luab_trainer.model",
    "LUABTrainer": "luab_trainer.trainer",
    "MixUp": "luab_trainer.data.mixup",
    "PointLoss": "luab_trainer.losses.point",
    "ViewDataset": "luab_trainer.data.dataset",
    "load_checkpoint": "luab_trainer.hub.checkpoint",
    "show": "luab.gallery.rows",
}

__all__ = [
    "AttentionLoss",
    "BackgroundMix",
    "CutMix",
    "LUABConfig",
    "LUABModel",
    "LUABTrainer",
    "MixUp",
    "PointLoss",
    "ViewDataset",
    "load_checkpoint",
    "show",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "show":
        _require_eval()
    return getattr(import_module(_HOMES[name]), name)


def _require_eval() -> None:
    from luab_data.console.missing import require_extra
    from luab_data.errors import SourceError

    try:
        require_extra("eval", "luab.show")
    except SourceError as error:
        raise ImportError(str(error)) from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
