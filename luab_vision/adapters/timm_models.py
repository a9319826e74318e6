"""What timm's models say of themselves, and transformers keeps for itself of the model that it wraps.

timm is not imported: a model that is not timm's is told apart by its class alone. `tests/luab_vision/
test_timm_models.py` says what a new version of timm or transformers changed.
"""

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from luab_vision.geometry import pair

WRAPPER = "timm_wrapper"  # `config.model_type` of timm's models in transformers


def timm_model(model: nn.Module) -> Any:
    """Timm's own model, plain or wrapped by transformers and by PEFT; None for any other."""
    unwrapped: Any = getattr(model, "get_base_model", None)  # of PEFT, which is not a dependency
    model = model if unwrapped is None else unwrapped()
    if isinstance(model, PreTrainedModel) and model.config.model_type == WRAPPER:
        return model.timm_model
    return model if type(model).__module__.startswith("timm.") else None


def timm_heads(model: Any) -> list[nn.Module]:
    """The modules that compute the logits of one of timm's models: several if their mean is the logits."""
    given = model.get_classifier()
    heads = list(given) if isinstance(given, tuple | list | nn.ModuleList) else [given]
    return [head for head in heads if isinstance(head, nn.Module) and not isinstance(head, nn.Identity)]


def timm_size(model: nn.Module) -> tuple[int, int] | None:
    """Height and width of the images that one of timm's models was made for; None if it does not say."""
    embedding: Any = getattr(model, "patch_embed", None)
    size = getattr(embedding, "img_size", None)
    if size is None:
        size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size", (None,))[1:]
    return pair(size) if size else None


def takes_one_size(model: nn.Module) -> bool:
    """Whether one of timm's models takes images of its own size alone."""
    embedding: Any = getattr(model, "patch_embed", None)
    return bool(
        getattr(embedding, "strict_img_size", False)
        or (getattr(model, "pretrained_cfg", None) or {}).get("fixed_input_size", False)
    )
