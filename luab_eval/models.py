"""Any image classifier, ready to evaluate: its outputs, their names, and its image settings.

No code of a checkpoint is executed: weights come from safetensors only, and remote code never runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME

from luab_data.console.missing import require_extra
from luab_data.console.names import few
from luab_data.hub.retry import reason
from luab_eval.image_sets.class_maps import folder_outputs, imagenet_outputs
from luab_vision.processors import check_fits, image_settings, load_processor
from luab_vision.timm_checkpoints import MODEL_ARGS, settings_of
from luab_vision.transforms import ImageSettings

TIMM = "timm:"
TIMM_WEIGHTS = "model.safetensors"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
BF16 = "-bf16"  # end of the fingerprint of a model that computes in it
SCHEME = "v2-"  # beginning of a fingerprint; those of earlier versions are of the weights alone
# Of a configuration, what changes no output: where it is from, what `id2label` says too, what calls ask for.
_NO_PART_OF_THE_MODEL = {
    *("_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype", "problem_type"),
    *("label2id", "label_names", "label_descriptions", "license", "finetuning_task"),
    *("output_attentions", "output_hidden_states", "return_dict"),
}


class NotFinite(ValueError):
    """A model's outputs, or `what`, for some images of a batch, at `positions`, are NaN or infinite."""

    def __init__(self, positions: Sequence[int], what: str = "outputs"):
        super().__init__(f"the {what} are NaN or infinite for the images {few(positions)} of a batch")
        self.positions, self.what = positions, what


@dataclass(frozen=True)
class Classifier:
    """A model with everything that an evaluation needs.

    Attributes:
        name: Name in tables.
        model: pixel_values `[B, 3, H, W]` -> logits `[B, K]`, or an output that has them as `.logits`.
        labels: Names of the K outputs.
        settings: The model's image settings.
        revision: Commit on the Hub; "" for a folder.
        seed: Seed of its training, if the checkpoint has it.
        fingerprint: Hash of the weights, the configuration and the image settings, and the precision if it is
            not float32. Computed unless given.
        source: What `load_classifier` loaded it from; "" if it did not.
        bf16: Whether the model computes in bfloat16, mixed (autocast); else in float32.
        compiled: The model by torch.compile, which shares its weights; None: it runs as it is.
    """

    name: str
    model: nn.Module = field(repr=False)
    labels: Sequence[str] = field(repr=False)
    settings: ImageSettings
    revision: str = ""
    seed: int | None = None
    fingerprint: str = ""
    source: str = ""
    bf16: bool = False
    compiled: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.fingerprint:
            own = fingerprint(self.model, self.settings) + BF16 * self.bf16
            object.__setattr__(self, "fingerprint", own)

    @property
    def precision(self) -> str:
        """The precision of its computations, in a word."""
        return BFLOAT16 if self.bf16 else FLOAT32

    def computing(self, device: torch.device) -> AbstractContextManager[Any]:
        """Around every call of the model with images on `device`: its precision."""
        return torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def outputs(self, classes: Sequence[str] | None) -> list[int]:
        """The outputs for `ImageSet.classes`, in their order (see `class_maps`)."""
        return imagenet_outputs(self.labels) if classes is None else folder_outputs(self.labels, classes)

    def logits(self, pixel_values: Tensor) -> Tensor:
        """`[B, 3, H, W]` -> `[B, K]` float32.

        Raises:
            NotFinite: NaN or infinity.
        """
        with self.computing(pixel_values.device):
            output = (self.model if self.compiled is None else self.compiled)(pixel_values)
        logits = (output if isinstance(output, Tensor) else output.logits).float()
        finite = torch.isfinite(logits).all(dim=1)
        if not finite.all():
            raise NotFinite(finite.logical_not().nonzero()[:, 0].tolist())
        return logits


def load_classifier(
    name: str, device: str | torch.device = "cpu", bf16: bool = False, compiled: bool = False
) -> Classifier:
    """A checkpoint's folder, a model's id on the Hub, or `timm:NAME`, in evaluation mode on `device`.

    Args:
        name: The model.
        device: Where it runs.
        bf16: Whether it computes in bfloat16, mixed.
        compiled: Whether torch.compile compiles it.

    Raises:
        ValueError: no such model, not an image classifier, or no safetensors.
    """
    loaded = _from_timm(name) if name.startswith(TIMM) else _from_transformers(name)
    loaded.model.eval().requires_grad_(False).to(device)
    return replace(
        loaded,
        source=name,
        bf16=bf16,
        fingerprint=loaded.fingerprint + BF16 * bf16,
        compiled=torch.compile(loaded.model) if compiled else None,
    )


def fingerprint(model: nn.Module, settings: ImageSettings, built: Mapping[str, Any] | None = None) -> str:
    """Hash of all weights and buffers, independent of their file, and of how the model reads and computes.

    Args:
        model: The model.
        settings: How it reads images.
        built: What says how it computes. Default: a model of transformers has a configuration, of which only
            what differs from the defaults that all models share counts, as other versions have others.
    """
    if built is None:
        built = model.config.to_diff_dict() if isinstance(model, PreTrainedModel) else {}
    digest = hashlib.blake2b(type(model).__name__.encode(), digest_size=16)
    digest.update(json.dumps(_computing(built), sort_keys=True, default=str).encode())
    digest.update(repr(settings).encode())
    for key, value in model.state_dict().items():
        digest.update(f"{key}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return SCHEME + digest.hexdigest()


def _computing(value: Any) -> Any:
    """A configuration, or a part of it, without what changes no output; keys as in its file."""
    if isinstance(value, Mapping):
        return {str(key): _computing(part) for key, part in value.items() if key not in _NO_PART_OF_THE_MODEL}
    if isinstance(value, list | tuple):
        return [_computing(part) for part in value]
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else value


def _from_transformers(name: str) -> Classifier:

    from luab_vision.weights import (
        WrongWeights,
        foreign_config,
        load_weights,
        output_names,
        require_all,
        require_as_written,
    )

    try:
        require_as_written(name)
        config = foreign_config(name)
        labels = output_names(config)
        loaded = load_weights(name, config)
        require_all(loaded)
        model = loaded.model
    except WrongWeights as error:
        raise ValueError(f"--model {name}: {error}") from error
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(
            f"--model {name}: no image classifier could be loaded. It must be a folder as save_pretrained "
            "writes it, or a model's id on the Hub, with config.json, preprocessor_config.json and weights "
            f"in safetensors (never pickle, and no remote code). {error}"
        ) from error
    try:
        settings = image_settings(load_processor(name))
        check_fits(model, settings)
        seed = _seed(Path(name))
    except ValueError as error:
        raise ValueError(f"--model {name}: {error}") from error
    return Classifier(name, model, labels, settings, revision=_revision(name), seed=seed)


def _revision(name: str) -> str:
    """The commit of a model that was loaded from the Hub; "" for a folder."""
    config = None if Path(name).is_dir() else try_to_load_from_cache(name, CONFIG_NAME)
    return Path(config).parent.name if isinstance(config, str) else ""


def _from_timm(name: str) -> Classifier:
    require_extra("timm", f"--model {name}")
    import timm

    from luab_vision.weights import require_finite

    of_timm = name.removeprefix(TIMM)
    try:
        # Without safetensors timm would load a pickle, so it gets the path of the file to read.
        described = timm.create_model(of_timm, pretrained=False).pretrained_cfg
        weights = {"file": _timm_file(described, TIMM_WEIGHTS), "source": "", "custom_load": False}
        model = timm.create_model(of_timm, pretrained=True, pretrained_cfg_overlay=weights)
        require_finite(model.state_dict())
        arguments = _timm_arguments(of_timm, described)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"--model {name}: no classifier could be loaded. It must be one of timm's "
            f"(timm.list_models(pretrained=True)) whose repository on the Hub has {TIMM_WEIGHTS} (never "
            f"pickle): {reason(error)}"
        ) from error
    config = timm.data.resolve_model_data_config(model)
    try:
        settings = settings_of(config)
    except ValueError as error:
        raise ValueError(f"--model {name}: {error}") from error
    labels = model.pretrained_cfg.get("label_names") or [f"LABEL_{at}" for at in range(model.num_classes)]
    built = {"architecture": model.pretrained_cfg["architecture"], MODEL_ARGS: arguments, "id2label": labels}
    return Classifier(name, model, labels, settings, fingerprint=fingerprint(model, settings, built))


def _timm_arguments(of_timm: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """What the config.json of a folder or a repository builds besides the architecture.

    timm's own names have none: their repositories only hold weights.
    """
    if ":" not in of_timm:
        return {}
    file = _timm_file(described, CONFIG_NAME)
    return json.loads(Path(file).read_text(encoding="utf-8")).get(MODEL_ARGS) or {}


def _timm_file(described: Mapping[str, Any], name: str) -> str:
    """Path of a file of a model's folder or repository, from timm's `pretrained_cfg`.

    Raises OSError if there is no such file, ValueError if the model has no repository.
    """
    if described.get("source") == "local-dir":
        return str(Path(described["file"], name))
    if not described.get("hf_hub_id"):
        raise ValueError("its weights are not on the Hub")
    repository, _, revision = described["hf_hub_id"].partition("@")
    return hf_hub_download(repository, name, revision=revision or None)


def _seed(folder: Path) -> int | None:
    """The seed of the training, from our trainer's `training_args.json`."""
    file = folder / "training_args.json"
    if not file.is_file():
        return None
    try:
        arguments = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} is no JSON: {error}") from error
    seed = arguments.get("seed") if isinstance(arguments, dict) else None
    return seed if isinstance(seed, int) else None
