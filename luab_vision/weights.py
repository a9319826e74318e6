"""Loads a classifier's weights from a checkpoint, for training and evaluation: all of them, or an error.

No code of a checkpoint is executed. Weights come from safetensors only, remote code never runs, and a
configuration cannot choose the attention implementation, which may be code on the Hub.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageClassification, PretrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME, cached_file, logging

from luab_data.console.names import few
from luab_data.console.text import counted, text_of
from luab_data.files.sums import MODEL_FILES, SUMS, damage
from luab_vision.adapters.hf_models import attend_by_default
from luab_vision.timm_checkpoints import MODEL_ARGS, complete, require_plain

LONGEST_REASON = 300  # characters of a message of transformers, which may list all known models
MOST_NUMBERS = 30_000_000_000  # weights; the largest known classifiers have some 20 billion
NEW_NUMBERS = 100_000_000  # weights that a checkpoint may lack, such as its head
MOST_LAYERS = 1000  # of a configuration; the deepest known classifiers have some 200
MOST_CLASSES = 100_000  # the largest known classifiers have some 22,000
MOST_CONFIG_BYTES = 16 << 20  # of a config.json; one with 22,000 names has 2 MB
_LAYERS = re.compile(r"(num|n)_(hidden_)?(layers?|blocks?)|depths?|num_encoder_blocks")
_ADAPTER = "adapter_config.json"  # PEFT's
# Names of the accepted number types in safetensors. Others are quantized: they need scales that only the
# library that wrote them knows.
_DTYPES = ("F64", "F32", "F16", "BF16")
# A counter of BatchNorm without effect on the output: older checkpoints lack it.
_COUNTER = ".num_batches_tracked"


class WrongWeights(ValueError):
    """The checkpoint's weights do not fit its classifier. The message names them, and the fix."""


@dataclass(frozen=True)
class Loaded:
    """A classifier, and how the checkpoint's weights differ from its own.

    Attributes:
        missing: Weights that the checkpoint lacks; they are random.
        unexpected: Weights that the classifier lacks.
        mismatched: Weights with the wrong shape; they are random.
    """

    model: PreTrainedModel
    missing: frozenset[str]
    unexpected: frozenset[str]
    mismatched: frozenset[str]


def foreign_config(source: str, **settings: Any) -> PretrainedConfig:
    """The configuration of a checkpoint's folder, a `config.json`, or a model on the Hub, with `settings`.

    Its precision and attention implementation are ignored: weights will be float32, and transformers picks
    the attention for this machine.

    Raises:
        OSError: there is none.
        ValueError: an unknown model, or more layers than any real model.
        WrongWeights: it is an adapter.
    """
    if (Path(source) / _ADAPTER).is_file():
        raise WrongWeights(
            "this is an adapter (LoRA) and no whole classifier. Merge it into its base model with "
            "`merge_and_unload()` of peft, save that with save_pretrained, and give its folder. A checkpoint "
            "of ours has the merged classifier in the folder above"
        )
    with _explained("its config.json cannot be read"):
        raw = _raw_config(source)
        _require_few_classes(raw)
        settings = require_plain(raw) | settings
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, **settings)
        complete(config)
    attend_by_default(config)
    for part in (config, *(getattr(config, name) for name in config.sub_configs)):
        if isinstance(part, PretrainedConfig):
            part.dtype = torch.float32
            _require_buildable(part)
    _require_size(config, source)
    return config


def require_as_written(source: str) -> None:
    """Raises WrongWeights if the classifier in a folder does not match the folder's `SHA256SUMS`.

    A folder without checksums, such as one from another tool, is accepted.
    """
    sums = Path(source, SUMS)
    if sums.is_file() and (problems := damage(sums.parent, MODEL_FILES)):
        raise WrongWeights(
            f"{problems[0]}. Take another copy; if you changed it yourself, delete {sums}, which is about "
            "the files as they were"
        )


def load_weights(
    source: str | Path, config: PretrainedConfig, kind: type[Any] = AutoModelForImageClassification
) -> Loaded:
    """The classifier of `config` in float32, with all weights of the checkpoint that fit.

    Raises:
        OSError: there are no weights in safetensors.
        ValueError: not an image classifier.
        WrongWeights: weights that are not finite, or quantized.
    """
    # Without transformers' table of all weights: the caller reports what matters.
    with _no_report(), _explained("its weights cannot be loaded"):
        model, info = kind.from_pretrained(
            source,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,  # no pickle
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    if info["error_msgs"]:
        raise WrongWeights(f"its weights cannot be loaded: {info['error_msgs'][0]}")
    require_finite(model.state_dict())
    _require_dtypes(source)
    return Loaded(
        model,
        missing=frozenset(name for name in info["missing_keys"] if not name.endswith(_COUNTER)),
        unexpected=frozenset(info["unexpected_keys"]),
        mismatched=frozenset(name for name, *_ in info["mismatched_keys"]),
    )


def require_all(loaded: Loaded) -> None:
    """Raises WrongWeights unless the checkpoint has exactly the weights that the classifier needs."""
    if not (loaded.missing or loaded.unexpected or loaded.mismatched):
        return
    found = [
        f"{counted(len(names), one, several)} ({few(sorted(names))})"
        for one, several, names in (
            ("is missing", "are missing", loaded.missing),
            ("has another shape", "have another shape", loaded.mismatched),
            ("is of no part of it", "are of no part of it", loaded.unexpected),
        )
        if names
    ]
    raise WrongWeights(
        f"its weights are not those of a {type(loaded.model).__name__}: {', '.join(found)}. {_cause(loaded)}"
    )


def require_finite(weights: Mapping[str, Tensor]) -> None:
    """Raises WrongWeights if a weight or buffer is NaN or infinite."""
    wrong = [
        name
        for name, value in weights.items()
        if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if wrong:
        raise WrongWeights(
            f"its weights hold NaN or infinity, in {few(wrong)}: the training that wrote them diverged, or "
            "the file is damaged"
        )


def _require_dtypes(source: str | Path) -> None:
    """Raises WrongWeights if weights are not stored as floats of 16 bits or more."""
    found = cached_file(source, "config.json")
    if found is None:
        raise OSError(f"{source} has no config.json")
    folder = Path(found).parent  # in the Hub's cache, or `source` itself
    whole = folder / "model.safetensors"  # takes precedence over shards; other files are not read
    for path in [whole] if whole.is_file() else sorted(folder.glob("model-*-of-*.safetensors")):
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.endswith("weight")]  # noqa: SIM118 (no mapping)
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
        wrong = [f"{name} in {kind}" for name, kind in kinds.items() if kind not in _DTYPES]
        if wrong:
            raise WrongWeights(
                f"its weights are quantized: {few(wrong)}; allowed are {', '.join(_DTYPES)}. Take the "
                "checkpoint that it was made from"
            )


def output_names(config: PretrainedConfig) -> list[str]:
    """The names of a classifier's outputs, in their order.

    Raises:
        ValueError: id2label does not name each output.
    """
    known: Mapping[Any, str] = config.id2label or {}
    count = config.num_labels or 0
    names = [known.get(index) for index in range(count)]
    if None in names:
        raise ValueError(
            f"id2label in its config.json must name the outputs 0 to {count - 1}, but names "
            f"{few(list(known))}"
        )
    return [str(name) for name in names]


def head_axes(model: PreTrainedModel) -> dict[str, int]:
    """The weights whose shape depends on the number of classes, and the axis of the classes in each."""
    config = copy.deepcopy(model.config)
    config.num_labels = (model.config.num_labels or 0) + 1
    attend_by_default(config)
    with torch.device("meta"):
        wider = AutoModelForImageClassification.from_config(config).state_dict()
    axes = {}
    for name, value in model.state_dict().items():
        for axis, (own, one_more) in enumerate(zip(value.shape, wider[name].shape, strict=True)):
            if own != one_more:
                axes[name] = axis
    return axes


def _cause(loaded: Loaded) -> str:
    """The most likely cause, and the fix."""
    needed = loaded.missing | loaded.mismatched
    for name in loaded.unexpected:
        prefix, _, rest = name.partition(".")
        if rest in loaded.missing:
            return (
                f"The checkpoint's names begin with {prefix + '.'!r}: it was saved from a model inside "
                "another one. Save the inner model with save_pretrained."
            )
    axes = head_axes(loaded.model)
    if needed and needed <= axes.keys():
        return (
            "It has no head for these classes: it is a backbone, or its config.json has another number of "
            "classes than its weights. Train it first, or take a checkpoint of a whole classifier."
        )
    if not needed:
        return (
            "Its config.json describes a smaller model. If these are leftovers of its pretraining, load it "
            "with AutoModelForImageClassification and save it with save_pretrained: that leaves them out."
        )
    return "Its config.json and its weights are of different models: get both from the same place."


def _raw_config(source: str) -> dict[str, Any]:
    """The configuration as stored. Raises ValueError for a file larger than any real one."""
    for file in (Path(source), Path(source, CONFIG_NAME)):
        if file.is_file() and file.stat().st_size > MOST_CONFIG_BYTES:
            raise ValueError(f"it has {file.stat().st_size:,} bytes; allowed are {MOST_CONFIG_BYTES:,}")
    return PretrainedConfig.get_config_dict(source)[0]


def _require_few_classes(config: dict[str, Any]) -> None:
    """Checks the number of classes before transformers makes a name for each of them."""
    for part in (config, *config.values()):
        if not isinstance(part, dict):
            continue
        given = [part.get("num_labels"), part.get("num_classes")]  # the latter is timm's
        names = [part.get("id2label"), part.get("label_names")]
        counts = [number for number in given if isinstance(number, int)]
        count = max([*counts, *(len(each) for each in names if isinstance(each, dict | list))], default=0)
        if count > MOST_CLASSES:
            raise WrongWeights(f"its config.json has {count:,} classes; allowed are {MOST_CLASSES:,}")


def _require_buildable(config: PretrainedConfig) -> None:
    """Limits the layers: a million would take minutes and gigabytes before any weight is read."""
    fields = config.to_dict()
    for name, value in [*fields.items(), *(fields.get(MODEL_ARGS) or {}).items()]:
        if not _LAYERS.fullmatch(name):
            continue
        values = value if isinstance(value, list | tuple) else [value]
        layers = sum(number for number in values if isinstance(number, int))
        if layers > MOST_LAYERS:
            raise ValueError(
                f"its config.json asks for {layers:,} layers ({name}); allowed are {MOST_LAYERS:,}"
            )


def _require_size(config: PretrainedConfig, source: str) -> None:
    """Counts the weights before memory is allocated: a configuration can ask for any amount."""
    most, why = MOST_NUMBERS, "more than any known classifier has"
    if files := list(Path(source).glob("*.safetensors")):
        held = sum(file.stat().st_size for file in files)  # bytes, and so at least as many as numbers
        if held + NEW_NUMBERS < most:
            most, why = held + NEW_NUMBERS, f"for the weights beside it are {held:,} bytes"
    with _explained("its config.json describes no classifier that can be built"), torch.device("meta"):
        model = AutoModelForImageClassification.from_config(config)
        count = sum(value.numel() for value in model.state_dict().values())
    if count > most:
        raise ValueError(f"its config.json asks for {count:,} weights; allowed are {most:,}, {why}")


@contextmanager
def _explained(problem: str) -> Iterator[None]:
    """Converts errors of transformers, which can be of any class for an unexpected file."""
    try:
        yield
    except WrongWeights:
        raise
    except Exception as error:
        found = " ".join(text_of(error).split())
        found = found if len(found) <= LONGEST_REASON else f"{found[:LONGEST_REASON].rstrip()} ..."
        raise ValueError(f"{problem}: {type(error).__name__}{f': {found}' if found else ''}") from error


@contextmanager
def _no_report() -> Iterator[None]:
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
