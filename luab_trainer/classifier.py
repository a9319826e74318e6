"""The classifier that a run starts from, and its image processor."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import nn
from transformers import (
    AutoModelForImageClassification,
    BaseImageProcessor,
    PretrainedConfig,
    PreTrainedModel,
)

from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_eval.image_sets.class_maps import folder_outputs, imagenet_outputs
from luab_trainer.drop_path import made_with, require_drop_path, set_drop_path
from luab_trainer.model import MULTI_LABEL
from luab_trainer.public_names import source_name
from luab_trainer.resizing import at_size, set_input_size
from luab_trainer.said import say
from luab_vision.processors import PROCESSOR_FILE, load_processor, square_processor
from luab_vision.timm_checkpoints import reads_images, set_label_names
from luab_vision.tracing import own_size
from luab_vision.weights import (
    Loaded,
    foreign_config,
    head_axes,
    load_weights,
    output_names,
    require_all,
    require_as_written,
)

UNNAMED = "LABEL_"  # prefix of transformers' default class names
USUAL_SIZE = 224  # of ImageNet's classifiers
# Types whose `classifier_dropout_prob` is by default the probability that TensorFlow's code keeps a feature.
_KEEPS = ("mobilenet_v1", "mobilenet_v2")


Problem = Literal["single_label_classification", "multi_label_classification"]  # `config.problem_type`


class Start(NamedTuple):
    """The initial model of a run. `new_head`: the checkpoint had no head for these classes."""

    model: PreTrainedModel
    processor: BaseImageProcessor
    new_head: bool


def load_start(
    model: str | None,
    from_config: str | None,
    names: list[str],
    multi_label: bool = False,
    image_size: int | None = None,
    trained: bool = True,
    drop_path: float | None = None,
) -> Start:
    """A pretrained or new classifier with a head for these classes, and its image processor.

    The weights are float32, whatever the checkpoint's precision. Only the head may be new: if the checkpoint
    has none, or one for other classes. A message then says so. A head for the same classes in another order
    is put into the order of `names`.

    Args:
        model: A checkpoint: a folder or a Hub id.
        from_config: Instead of a checkpoint, a configuration, for random weights.
        names: Class names, in the order of the class numbers.
        multi_label: Whether an image may have several classes.
        image_size: Input size in pixels. None: the model's own. The position encodings of a checkpoint are
            interpolated.
        trained: Whether the model will be trained. If not, the head may not be new.
        drop_path: Probability of stochastic depth; see `luab_trainer.drop_path`. None: the config's.

    Raises:
        SourceError: the checkpoint or configuration cannot be loaded, or the weights are of another model.
    """
    if from_config is not None and from_config.endswith(".json") and not Path(from_config).is_file():
        raise SourceError(f"--from_config {from_config}: there is no such file.")
    problem: Problem = MULTI_LABEL if multi_label else "single_label_classification"
    try:
        if model is not None:
            loaded, new_head = _pretrained(model, names, problem, trained, drop_path)
            loaded.config.name_or_path = source_name(loaded.config.name_or_path or model)  # goes into reports
            processor = load_processor(model)
            if image_size is not None:
                loaded, processor = at_size(loaded, processor, image_size)
            return Start(loaded, processor, new_head)
        if from_config is None:
            raise ValueError("give a model or a from_config")
        config = foreign_config(from_config)
        _set_classes(config, names, problem)
        set_drop_path(config, drop_path)
        if notes := _settle_dropout(config):
            say(f"--from_config {from_config}: {'; '.join(notes)}.")
        config.architectures = config.architectures or []  # None fails for a type with several heads
        config.name_or_path = ""
        if image_size is not None:
            set_input_size(config, image_size)
        with made_with(drop_path):
            created = AutoModelForImageClassification.from_config(config)
        require_drop_path(created, drop_path)
        folder = Path(from_config) if Path(from_config).is_dir() else Path(from_config).parent
        if ((folder / PROCESSOR_FILE).is_file() or reads_images(config)) and image_size is None:
            processor = load_processor(str(folder))
        else:
            processor = square_processor(image_size or own_size(created) or _usual_size(from_config))
        return Start(created, processor, False)
    except (ImportError, OSError, ValueError) as error:
        option = f"--model {model}" if model is not None else f"--from_config {from_config}"
        raise SourceError(f"{option}: {error}") from error


def _usual_size(from_config: str) -> int:
    say(
        f"--from_config {from_config}: it has no image_size, and no {PROCESSOR_FILE} lies beside it: images "
        f"are taken as {USUAL_SIZE} x {USUAL_SIZE}. Set --image_size for another size."
    )
    return USUAL_SIZE


def probability_to_drop(config: PretrainedConfig) -> float | None:
    """The dropout that a config means which has the probability to keep instead; None for all others."""
    value = getattr(config, "classifier_dropout_prob", None)
    if config.model_type not in _KEEPS or value is None or value <= 0.5:
        return None
    return round(1 - value, 6)


def _settle_dropout(config: PretrainedConfig) -> list[str]:
    """Turns a probability to keep into one to drop, and says so: with the former nothing is learned."""
    dropped = probability_to_drop(config)
    if dropped is None:
        return []
    kept = config.classifier_dropout_prob
    config.update({"classifier_dropout_prob": dropped})
    return [
        f"its classifier_dropout_prob of {kept:g} is what TensorFlow's code keeps, so {dropped:g} is dropped"
    ]


def _pretrained(
    source: str, names: list[str], problem: Problem, trained: bool, drop_path: float | None
) -> tuple[PreTrainedModel, bool]:
    require_as_written(source)
    config = foreign_config(source)
    before = output_names(config)
    _set_classes(config, names, problem)
    set_drop_path(config, drop_path)
    dropout = _settle_dropout(config) if trained else []
    with made_with(drop_path):
        loaded = load_weights(source, config)
    require_drop_path(loaded.model, drop_path)
    new_head, notes = _settle_head(loaded, before, names)
    notes += dropout
    notes += _settle_rest(loaded)
    if new_head and not trained:
        raise ValueError(f"it cannot be evaluated here: {notes[0].partition(', so a new')[0]}")
    if notes:
        say(f"--model {source}: {'; '.join(notes)}.")
    return loaded.model, new_head


def _set_classes(config: PretrainedConfig, names: list[str], problem: Problem) -> None:
    config.num_labels = len(names)  # before the names: it makes some of its own
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    set_label_names(config, names)
    config.problem_type = problem


def _settle_head(loaded: Loaded, before: list[str], names: list[str]) -> tuple[bool, list[str]]:
    """Changes the head's outputs from the checkpoint's classes, `before`, to `names`.

    Returns whether the head is new, and a line about each change.
    """
    axes = head_axes(loaded.model)
    new = axes.keys() & (loaded.missing | loaded.mismatched)
    others = (
        f"its {len(before)} classes ({few(before, 3)}) are not the dataset's {len(names)} "
        f"({few(names, 3)}), so a new head is trained"
    )
    if new and new == axes.keys():
        if loaded.missing:
            return True, [f"it has no head, so a new one of {len(names)} classes is trained"]
        return True, [others]
    if new:
        require_all(loaded)
    if before == names:
        return False, []
    if all(name.startswith(UNNAMED) for name in before):
        return False, [
            f"it does not name its {len(before)} classes; its head is kept, and taken to be in the dataset's "
            "order"
        ]
    order = _positions(before, names)
    with torch.no_grad():
        if order is None:
            fresh = type(loaded.model)(loaded.model.config).state_dict()
            for name in axes:
                loaded.model.state_dict()[name].copy_(fresh[name])
            return True, [others]
        if order == list(range(len(names))):
            return False, []
        for name, axis in axes.items():
            weight = loaded.model.state_dict()[name]
            weight.copy_(weight.index_select(axis, torch.tensor(order)))
    return False, [
        "its classes are in another order than the dataset's; its head is put into the dataset's order"
    ]


def _settle_rest(loaded: Loaded) -> list[str]:
    """Raises ValueError unless only the head is new; returns notes on unused parts of the checkpoint."""
    axes = head_axes(loaded.model).keys()
    without_head = axes <= loaded.missing
    backbone = f"{loaded.model.base_model_prefix}."
    allowed = {
        name
        for name in loaded.missing
        # A new head may bring a norm or a pooler that the pretraining did not need.
        if without_head and (not name.startswith(backbone) or "pooler" in name.split("."))
    }
    wrong = (loaded.missing | loaded.mismatched) - axes - allowed
    strange = {name for name in loaded.unexpected if not _is_leftover(loaded.model, name)}
    if wrong or strange:
        require_all(loaded)
    notes = []
    if more := allowed - axes:
        notes.append(f"new are also {few(sorted(more))}")
    if loaded.unexpected:
        notes.append(f"not used are parts of its pretraining: {few(sorted(_roots(loaded.unexpected)))}")
    return notes


def _is_leftover(model: PreTrainedModel, name: str) -> bool:
    """Whether a weight is of a part that the classifier lacks, such as a decoder or a pooler.

    An unexpected weight within the layers, or an additional layer, means another model.
    """
    module: nn.Module = model
    for part in name.split("."):
        if part.isdigit():
            return False
        if part not in dict(module.named_children()):
            return True
        module = module.get_submodule(part)
    return True


def _roots(names: frozenset[str]) -> set[str]:
    """`decoder.layer.0.weight` -> `decoder`; `vit.pooler.dense.weight` -> `vit.pooler`."""
    return {".".join(name.split(".")[: 2 if "pooler" in name else 1]) for name in names}


def _positions(before: list[str], names: list[str]) -> list[int] | None:
    """For each of `names` its position in `before`; None if the classes differ."""
    if sorted(before) == sorted(names):
        found = [before.index(name) for name in names]
        return found if len(set(names)) == len(names) else None
    for outputs in (_imagenet_positions, folder_outputs):
        try:
            found = outputs(before, names)
        except ValueError:
            continue
        if sorted(found) == list(range(len(names))):
            return found
    return None


def _imagenet_positions(before: list[str], names: list[str]) -> list[int]:
    """The same for ImageNet's classes, by wnid or name. Raises ValueError for other classes."""
    places = dict(zip(imagenet_outputs(names), imagenet_outputs(before), strict=True))
    return [places[at] for at in range(len(names))]
