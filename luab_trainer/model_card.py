"""The README.md of a checkpoint: how it was trained, what it reached, how to load it."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import HTTPError
from transformers import SchedulerType, TrainerState

from luab_data.card import PAPER
from luab_trainer.config import LUABConfig
from luab_trainer.evaluation.multi_label import PRIMARY_METRIC as MAP
from luab_trainer.model import ATTENTION, LUABModel

TASK = "image-classification"
OWN_LICENCE = "apache-2.0"  # of weights that started from nobody else's
# Metrics that describe the run and not the model.
_NOT_RESULTS = ("runtime", "per_second", "preparation_time", "epoch", "step", "mem_")

_BODY = """
# {name}

{model_class} ({parameters:,} parameters) trained on {dataset}{byproducts}

## How to load

```python
from transformers import pipeline

classifier = pipeline("image-classification", model="{location}")
print(classifier("image.jpg"))
```

## Results

{results}{meaning}

## How it was trained

{training}

`training_args.json` has every argument.{head}

## Licence

{licence} The data has terms of its own.

## Citation

Learning from annotation byproducts (LUAB):

```bibtex
{citation}
```
"""

_MULTI_LABEL_RESULTS = """

mAP: mean over the classes of average precision (not interpolated, as scikit-learn computes it); F1 at a
probability of 0.5. Classes that no evaluated image has (`classes_without_positive`) are left out of mAP and
`f1_macro`."""


def model_card(
    luab: LUABModel,
    args: LUABConfig,
    state: TrainerState,
    dataset: str | None,
    evaluated_on: str | None = None,
    base_licence: str | None = None,
    splits: tuple[str | None, str | None] = (None, None),
) -> str:
    """Markdown with a YAML header. Folders of this machine are named by their last part only.

    `base_licence`: of the model that this one started from, where it is known. `splits`: of training and
    evaluation, as far as they were given.
    """
    name = (args.hub_model_id or Path(args.output_dir).name).split("/")[-1]
    dataset_name, dataset_id = _name_and_id(dataset)
    eval_name, eval_id = _name_and_id(evaluated_on or dataset)
    base_name, base_id = _name_and_id(luab.config.name_or_path or None)
    from_scratch = not luab.config.name_or_path
    results = last_results(state)
    data = ModelCardData(
        license=OWN_LICENCE if from_scratch else base_licence,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=[TASK, "luab", "annotation-byproducts", f"luab-{args.loss}"],
        base_model=base_id,
        datasets=[dataset_id] if dataset_id else None,
        metrics=[metric for metric in ("accuracy", MAP) if metric in results] or None,
        model_name=name,
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=eval_id or "imagefolder",
                dataset_name=eval_name,
                dataset_split=splits[1],
                metric_type=metric,
                metric_value=value,
            )
            for metric, value in results.items()
        ]
        or None,
    )
    entropy = "binary cross-entropy" if luab.multi_label else "cross-entropy"
    loss = " + ".join([entropy, *(f"{value:g} x {term}" for term, value in luab.weights.items())])
    body = _BODY.format(
        name=name,
        model_class=type(luab.model).__name__,
        parameters=luab.model.num_parameters(),
        dataset=f"{dataset_name}{_part(splits[0])}",
        byproducts=f" and its annotation byproducts ({args.byproduct})." if luab.weights else ".",
        location=args.hub_model_id or ".",
        results=_table(
            ("metric", f"on {eval_name}{_part(splits[1])}"), [(m, f"{v:.4f}") for m, v in results.items()]
        )
        or "Not evaluated yet.",
        meaning=_MULTI_LABEL_RESULTS if MAP in results else "",
        training=_table(
            ("", ""),
            [
                ("started from", "random weights" if from_scratch else base_name),
                ("loss", loss),
                *([("attention loss", luab.attention.extra_repr())] if ATTENTION in luab.weights else []),
                *([("labels in a crop", args.label_policy)] if luab.multi_label else []),
                ("steps", f"{state.global_step} of {state.max_steps}"),
                ("epochs", f"{state.epoch or 0:.2f}"),
                ("batch size (a device)", args.per_device_train_batch_size),
                (
                    "gradient accumulation, processes",
                    f"{args.gradient_accumulation_steps}, {args.world_size}",
                ),
                (
                    "learning rate, schedule",
                    f"{args.learning_rate:g}, {SchedulerType(args.lr_scheduler_type).value}",
                ),
                ("weight decay", f"{args.weight_decay:g}"),
                ("seed", args.seed),
            ],
        ),
        head=" `luab_head.safetensors` is the byproduct loss's own head; it is needed only to train on."
        if luab.head_state_dict()
        else "",
        licence=f"The weights are under {OWN_LICENCE}."
        if from_scratch
        else f"The weights started from {base_name}: its licence ({base_licence or 'see there'}) holds.",
        citation=PAPER,
    )
    return f"---\n{data.to_yaml()}\n---\n{body}"


def licence_of(model: str) -> str | None:
    """The licence that a model on the Hub states; None where there is none, or the Hub is not reached."""
    _, hub_id = _name_and_id(model or None)
    if hub_id is None:
        return None
    try:
        card = HfApi().model_info(hub_id, timeout=10).card_data
    except (HTTPError, OSError):
        return None
    return card.license if card is not None else None


def last_results(state: TrainerState) -> dict[str, float]:
    """The newest value of each evaluation metric in the log, without `eval_`."""
    results: dict[str, float] = {}
    for entry in state.log_history:
        for key, value in entry.items():
            if key.startswith("eval_") and not any(word in key for word in _NOT_RESULTS):
                results[key.removeprefix("eval_")] = value
    return results


def _name_and_id(source: str | None) -> tuple[str, str | None]:
    """A Hub id -> (id, id); a folder or a file -> (its name, None), for the card is public and the path is
    not.
    """
    if source is None:
        return "a local dataset", None
    if Path(source).exists() or source.count("/") > 1 or source.startswith((".", "/", "~")):
        return Path(source).resolve().name, None
    return source, source if "/" in source else None


def _part(split: str | None) -> str:
    return "" if split is None else f" (`{split}`)"


def _table(header: tuple[str, str], rows: list[tuple[str, Any]]) -> str:
    if not rows:
        return ""
    lines = [header, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)
