"""The plan of a run, saved in each checkpoint: only a run with the same plan can resume from it."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from transformers.trainer_utils import has_length

from luab_data.constants import IMAGE_ID
from luab_data.errors import SourceError
from luab_data.files.whole import write_json
from luab_data.rows.columns import AREA_KINDS
from luab_trainer.config import DISC, LUABConfig
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.losses.attention import AttentionLoss
from luab_trainer.model import LUABModel

PLAN_FILE = "run_plan.json"
COUNT = "the number of training rows"
ROWS = "the fingerprint of the training rows"
FROZEN = "the fingerprint of the weights that the adapter is for"
VERSION = (
    "the version of the plan"  # earlier ones have none, and not the losses that a LUABModel was made with
)
_NAMES_OF_ROWS = ("--dataset", "--dataset_config", "--train_split")  # may change for the same rows
SAMPLED_ROWS = 256  # rows whose images are part of a dataset's fingerprint

# The options that a resumed run may not change. It may change how long it trains and how fast, what is
# logged, evaluated and saved, and where.
DEPENDS = (
    "model", "from_config", "image_size", "dataset", "dataset_config", "train_split", "image_column",
    "label_column", "point_column", "annotations_column", "min_crop", "flip", "augment",
    "color_jitter", "random_erasing", "x_column", "y_column", "point_units", "label_format", "class_names",
    "streaming",
    "loss", "byproduct", "background_mix", "background_radius", "background_shape", "cutmix",
    "cutmix_alpha", "mixup", "mixup_alpha", "shuffle_byproducts", "attention_form", "label_policy",
    "freeze", "layer_decay",
    "drop_path",
    "repeated_augmentation", "classification_loss",
    "lora_r", "lora_alpha", "lora_dropout", "lora_targets", "ema_decay",
    "label_smoothing_factor", "seed", "data_seed",
    "learning_rate", "weight_decay", "lamb",
    "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon",
    "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "max_grad_norm", "bf16", "fp16",
    "dataloader_drop_last", "train_sampling_strategy",
)  # fmt: skip


def run_plan(
    luab: LUABModel, args: LUABConfig, options: dict[str, Any], rows: dict[str, Any]
) -> dict[str, Any]:
    """Everything that a run's steps depend on, JSON-able.

    Args:
        luab: The model with its losses.
        args: The run's settings.
        options: All arguments of the run by name; for folders only the last part.
        rows: The `fingerprint` of the training dataset.
    """
    plan: dict[str, Any] = {VERSION: 2}
    plan |= {f"--{name}": _name(options[name]) for name in DEPENDS if name in options}
    plan |= {f"--{name}_weight": weight for name, weight in luab.weights.items()}
    if "attention" in luab.weights:
        loss = luab.attention
        if not isinstance(loss, AttentionLoss):
            plan["the attention loss"] = type(loss).__name__
        else:
            if loss.radius is not None:
                plan["--attention_radius"] = loss.radius
            plan["--attention_tolerance"] = loss.tolerance
        plan |= {f"--attention_{what}": list(asked) for what, asked in luab.spatial.chosen.items()}
    if args.used == "scanpath":
        plan["--attention_sigma"] = args.attention_sigma
    if not args.background_mix or args.byproduct in AREA_KINDS:
        plan.pop("--background_radius", None)  # it changes nothing
        plan.pop("--background_shape", None)
    if plan.get("--augment") == "none":
        plan.pop("--augment")  # as in the plan of a version without it
    if plan.get("--flip") is True:
        del plan["--flip"]  # as in the plan of a version without it
    if args.classification_loss == "ce":
        plan.pop("--classification_loss", None)
    if not args.lamb:
        plan.pop("--lamb", None)  # as in the plan of a version without it
    if args.repeated_augmentation == 1:
        plan.pop("--repeated_augmentation", None)
    for name in ("cutmix", "mixup"):
        if not getattr(args, name):  # as in the plan of a version without it
            plan.pop(f"--{name}", None)
            plan.pop(f"--{name}_alpha", None)
    if plan.get("--shuffle_byproducts") is None:
        plan.pop("--shuffle_byproducts", None)
    if options.get("streaming"):  # the order of the rows depends on these
        plan |= {f"--{name}": options[name] for name in ("shuffle_buffer", "dataloader_num_workers")}
        plan["the processes"] = args.world_size
    if options.get("lora_r") is None:
        plan.pop("--lora_dropout", None)  # as in the plan of a version without it
    plan["the rows of a step"] = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    plan["the model"] = type(luab.model).__name__
    plan["the model's weights"] = sum(value.numel() for value in luab.model.state_dict().values())
    plan["the classes"] = _digest(json.dumps(list(luab.config.id2label.values())))
    plan |= rows
    return json.loads(json.dumps(plan, default=str))


def fingerprint(dataset: Any) -> dict[str, Any]:
    """A fingerprint of a `ViewDataset`: the number of rows, their labels and byproducts.

    It covers the images of some rows too. It covers traces only if they are the byproduct to learn from.
    Of rows that are made on the fly, and of a dataset of another class, it is their number. Of a stream,
    which is not read, the number of its shards: the order of its rows depends on it. What no option says of a
    background mix is added.
    """
    if isinstance(dataset, ViewIterableDataset):
        return {**_of_mix(dataset), "the shards of the stream": dataset.rows.num_shards}
    return {**_of_mix(dataset), **_of_rows(dataset)}


def _of_mix(dataset: Any) -> dict[str, Any]:
    if not isinstance(dataset, ViewDataset | ViewIterableDataset) or dataset.to_sample.mixer is None:
        return {}
    return {"the holes of the background mix": dataset.to_sample.mixer.mix.holes}


def _of_rows(dataset: Any) -> dict[str, Any]:
    rows = getattr(dataset, "rows", None)
    if not isinstance(dataset, ViewDataset) or not isinstance(rows, datasets.Dataset) or not len(rows):
        return {COUNT: len(dataset)} if has_length(dataset) else {}
    image, *others = dataset.to_sample.reader.needed
    names = {name for name in (*others, IMAGE_ID) if name in rows.column_names and name != image}
    table = rows.select_columns(sorted(names)).with_format("arrow")
    digest = hashlib.sha256()
    for start in range(0, len(rows), 10_000):
        digest.update(_bytes(table[start : start + 10_000]))
    some = np.unique(np.linspace(0, len(rows) - 1, SAMPLED_ROWS).astype(int)).tolist()
    for start in range(0, len(some), 16):
        digest.update(_bytes(rows.with_format("arrow")[some[start : start + 16]]))
    return {COUNT: len(rows), ROWS: digest.hexdigest()[:16]}


def write_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Writes the plan of a run into its output folder."""
    write_json(folder / PLAN_FILE, plan)


def require_same_run(checkpoint: Path, plan: dict[str, Any], of_the_model: Iterable[str] = ()) -> None:
    """Raises SourceError with each difference if the checkpoint is of another run.

    A checkpoint of an earlier version has no plan and is accepted.

    Args:
        checkpoint: The folder.
        plan: The run's.
        of_the_model: The arguments that come from a `LUABModel`, where the run has one.
    """
    try:
        before = json.loads((checkpoint / PLAN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if "--background_radius" in before:
        before.setdefault("--background_shape", DISC)  # a version without it had no other
    if VERSION not in before:
        not_said = (VERSION, *(f"--{name}" for name in of_the_model if name in DEPENDS))
        before |= {name: plan[name] for name in not_said if name in plan}
    before.setdefault(COUNT, plan.get(COUNT))  # a version that did not count the rows of every dataset
    same_rows = ROWS in plan and before.get(ROWS) == plan[ROWS]
    differing = [
        f"{name} is {_shown(plan.get(name))}, the checkpoint's is {_shown(before.get(name))}"
        for name in before | plan
        if before.get(name) != plan.get(name) and not (same_rows and name in _NAMES_OF_ROWS)
    ]
    if differing:
        raise SourceError(
            f"--resume_from_checkpoint: {checkpoint} is of another run: {'; '.join(differing)}. Give the "
            "same options, or start a new run in another --output_dir: --model takes a checkpoint."
        )


def _name(value: Any) -> Any:
    """Compares folders by name, because they may have moved when the run resumes."""
    return Path(value).resolve().name if isinstance(value, str) and Path(value).exists() else value


def _bytes(table: pa.Table) -> bytes:
    """The table's values, independent of its chunks."""
    sink = pa.BufferOutputStream()
    table = table.combine_chunks()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(pa.Table.from_arrays(table.columns, schema=table.schema.remove_metadata()))
    return sink.getvalue().to_pybytes()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
