"""Checkpoints of timm's models, which transformers' wrapper loads: checks and completes their config.json.

timm and transformers write two layouts. Both have the architecture, `num_classes` and `label_names` in
config.json, and the image settings in its `pretrained_cfg`.
"""

import copy
from collections.abc import Mapping
from typing import Any

from PIL import Image
from transformers import PretrainedConfig

from luab_data.console.missing import require_extra
from luab_data.console.names import few
from luab_vision.adapters.timm_models import WRAPPER
from luab_vision.transforms import ImageSettings, Normalization, three

IMG_SIZE = "img_size"  # of `timm.create_model`, of architectures that are made for one size
MODEL_ARGS = "model_args"  # of a config: what `timm.create_model` gets besides the architecture
IMAGES = (
    "pretrained_cfg"  # of a config: how images are read; transformers prefers it to preprocessor_config.json
)
USUAL_CLASSES = 1000  # of `timm.create_model`
DATA_CONFIG = "data_config"  # of the image processor: what timm makes of it
RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# What `timm.create_model` takes that reads other files, a pickle among them, or changes what is built.
_REFUSED = (
    *("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"),
    *("features_only", "scriptable", "exportable", "no_jit"),
)


def is_timm(config: PretrainedConfig) -> bool:
    """Whether a configuration is of a model of timm."""
    return config.model_type == WRAPPER


def require_plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the config.json of a model of timm before anything is made of it; any other passes.

    Returns:
        What `AutoConfig` must be told besides: timm's number of classes, if the file does not say one.

    Raises:
        SourceError: timm is not installed.
        ValueError: it would read other files than the checkpoint's.
    """
    if "architecture" not in raw or raw.get("model_type", WRAPPER) != WRAPPER:
        return {}
    require_extra("timm", f"a model of timm ({raw['architecture']})")
    if not isinstance(raw["architecture"], str) or ":" in raw["architecture"]:
        raise ValueError(f"architecture {raw['architecture']!r} is no name of timm's (timm.list_models())")
    arguments = raw.get(MODEL_ARGS) or {}
    if not isinstance(arguments, Mapping):
        raise ValueError(
            f"{MODEL_ARGS} is {type(arguments).__name__}; needed is an object of names and values"
        )
    if refused := [name for name in _REFUSED if name in arguments]:
        raise ValueError(
            f"{MODEL_ARGS} may not have {few(refused)}: the weights are those beside it. Remove them"
        )
    return {} if raw.get("num_classes") is not None else {"num_labels": USUAL_CLASSES}


def complete(config: PretrainedConfig) -> None:
    """Makes the configuration of timm's own layout one that transformers builds; any other stays."""
    if is_timm(config) and config.model_args:
        # timm repeats it here, and transformers gives it too.
        config.model_args = {
            name: value for name, value in config.model_args.items() if name != "num_classes"
        }


def reads_images(config: PretrainedConfig) -> bool:
    """Whether a configuration says itself how the model reads images."""
    return is_timm(config) and bool(getattr(config, IMAGES, None))


def declared_normalization(config: PretrainedConfig) -> Normalization | None:
    """The normalization that a configuration says, for all who load the checkpoint; None: it says none."""
    images = getattr(config, IMAGES, None) if reads_images(config) else None
    if not images or not (images.get("mean") and images.get("std")):
        return None
    return Normalization(three(images["mean"]), three(images["std"]))


def set_label_names(config: PretrainedConfig, names: list[str]) -> None:
    """The names of the classes as timm writes them, besides `id2label`."""
    if is_timm(config):
        config.label_names = names
        config.label_descriptions = None


def set_image_size(config: PretrainedConfig, size: int, takes: bool) -> None:
    """For a new model with images of another size than `pretrained_cfg` says, which would be read first.

    `takes`: whether the architecture is made for a size.
    """
    if reads_images(config):
        delattr(config, IMAGES)
    if takes:
        config.model_args = {**(config.model_args or {}), IMG_SIZE: size}


def with_img_size(config: PretrainedConfig, size: int) -> PretrainedConfig:
    """A configuration whose model is made for images of another size."""
    sized = copy.deepcopy(config)
    sized.model_args = {**(config.model_args or {}), IMG_SIZE: size}
    return sized


def of_timm(data_config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the image processor of a model of timm, with the names of transformers' others."""
    _, height, width = data_config["input_size"]
    return {
        DATA_CONFIG: dict(data_config),
        "image_processor_type": "TimmWrapperImageProcessor",
        "size": {"height": height, "width": width},
        "crop_pct": data_config["crop_pct"],
        "image_mean": list(data_config["mean"]),
        "image_std": list(data_config["std"]),
    }


def settings_of(data_config: Mapping[str, Any]) -> ImageSettings:
    """The image settings of timm's data config (`timm.data.resolve_data_config`), for evaluation.

    Raises:
        ValueError: a way to read images that is not known here.
    """
    height, width = data_config["input_size"][-2:]
    mode, interpolation = data_config["crop_mode"], data_config["interpolation"]
    if mode not in ("center", "squash") or interpolation not in RESAMPLE:
        raise ValueError(
            f"crop_mode={mode!r} and interpolation={interpolation!r}: allowed are center and squash, and "
            f"{', '.join(RESAMPLE)}"
        )
    scaled = int(height / data_config["crop_pct"]), int(width / data_config["crop_pct"])
    return ImageSettings(
        size=(height, width),
        mean=three(data_config["mean"]),
        std=three(data_config["std"]),
        resize=scaled if mode == "squash" else min(scaled),
        resample=RESAMPLE[interpolation],
        nearest=True,
    )
