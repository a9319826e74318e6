"""The README.md of a checkpoint: training, results, and how to load it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import HTTPError
from transformers import SchedulerType, TrainerState

from luab_data.build.card import PAPER
from luab_data.console.text import percent
from luab_trainer.announcement import model_facts
from luab_trainer.config import LUABConfig
from luab_trainer.lora import is_adapted, merged_size
from luab_trainer.metrics.multi_label import PRIMARY_METRIC as MAP
from luab_trainer.model import LUABModel
from luab_trainer.public_names import name_and_id
from luab_vision.hooks import plain
from luab_vision.timm_checkpoints import is_timm

TASK = "image-classification"
OWN_LICENCE = "apache-2.0"  # license of weights trained from scratch
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
{adapter}
## Results

{results}{meaning}

## How it was trained

{training}

`training_args.json` has all arguments.{head}

## License

{license} The data has its own terms.

## Citation

Learning from annotation byproducts (LUAB):

```bibtex
{citation}
```
"""

_ADAPTER = """
These weights have the LoRA adapter merged in. The adapter alone is in `adapter/`:

```python
from peft import PeftModel
from transformers import AutoModelForImageClassification

base = AutoModelForImageClassification.from_pretrained(
    "{base}", num_labels={classes}, ignore_mismatched_sizes=True
)
model = PeftModel.from_pretrained(base, "{location}", subfolder="adapter")
```
"""

_MULTI_LABEL_RESULTS = """

mAP: mean over the classes of average precision (not interpolated, as in scikit-learn). F1 at a probability of
0.5. mAP and `f1_macro` skip classes without an evaluated image (`classes_without_positive`)."""


class BestWeights(NamedTuple):
    """The model's weights, if they are those of the best checkpoint and not of the last step.

    Attributes:
        step: Of the training, after which they were saved.
        logged: Entries of the log when they were loaded; later entries are about these weights.
    """

    step: int
    logged: int


def model_card(
    luab: LUABModel,
    args: LUABConfig,
    state: TrainerState,
    dataset: str | None,
    evaluated_on: str | None = None,
    base_license: str | None = None,
    splits: tuple[str | None, str | None] = (None, None),
    facts: Sequence[tuple[str, str]] = (),
    resized: bool = False,
    best: BestWeights | None = None,
) -> str:
    """Markdown with a YAML header. Only the last part of local folders is shown.

    `base_license`: license of the initial model, if known. `splits`: splits of training and evaluation, if
    given. `facts`: facts on the rows, the model and the loss, from `luab_trainer.announcement`. `resized`:
    whether the model takes images of another size than the initial one. `best`: if the weights are not those
    of the last step.
    """
    dataset_name, _ = name_and_id(dataset)
    eval_name, _ = name_and_id(evaluated_on or dataset)
    base_name, _ = name_and_id(luab.config.name_or_path or None)
    from_scratch = not luab.config.name_or_path
    results = results_of(state, best)
    header = _header(
        args, dataset, evaluated_on or dataset, luab.config.name_or_path, base_license, splits, results
    )
    facts = facts or model_facts(luab, args, "random weights" if from_scratch else base_name)
    body = _BODY.format(
        name=_name(args),
        model_class=type(plain(luab.model)).__name__,
        parameters=merged_size(luab.model),
        dataset=f"{dataset_name}{_part(splits[0])}",
        byproducts=f" and its annotation byproducts ({args.byproduct})." if luab.weights else ".",
        location=args.hub_model_id or ".",
        adapter=_adapter(luab, args, resized) if is_adapted(luab.model) else "",
        results=_table(
            ("metric", f"on {eval_name}{_part(splits[1])}"), [(m, f"{v:.4f}") for m, v in results.items()]
        )
        or "Not evaluated yet.",
        meaning=_MULTI_LABEL_RESULTS if MAP in results else "",
        training=_table(("", ""), [*facts, *_schedule(args, state, best)]),
        head=" `luab_head.safetensors` is the head of the point loss; only further training needs it."
        if luab.head_state_dict()
        else "",
        license=f"The weights are under {OWN_LICENCE}."
        if from_scratch
        else f"The weights started from {base_name}: its license ({base_license or 'see there'}) applies.",
        citation=PAPER,
    )
    return f"---\n{header.to_yaml()}\n---\n{body}"


def _adapter(luab: LUABModel, args: LUABConfig, resized: bool) -> str:
    """How to load the adapter of a model that is merged with it: into the initial model, if that fits.

    PEFT alone does not load it where transformers takes no number of classes (timm's own layout), or where a
    convolution is asked for its stride (TensorFlow's padding of MobileNet): `check_adapter` completes those.
    """
    padded = getattr(luab.config, "tf_padding", False)
    if resized or padded or is_timm(luab.config) or not luab.config.name_or_path:
        return "\nThese weights have the adapter merged in. It is also in `adapter/`, for further training.\n"
    base, _ = name_and_id(luab.config.name_or_path)
    return _ADAPTER.format(base=base, location=args.hub_model_id or ".", classes=luab.config.num_labels)


def _name(args: LUABConfig) -> str:
    return (args.hub_model_id or Path(args.output_dir).name).split("/")[-1]


def _header(
    args: LUABConfig,
    dataset: str | None,
    evaluated_on: str | None,
    base: str | None,
    base_license: str | None,
    splits: tuple[str | None, str | None],
    results: Mapping[str, float],
) -> ModelCardData:
    """The metadata for the Hub."""
    _, dataset_id = name_and_id(dataset)
    eval_name, eval_id = name_and_id(evaluated_on)
    _, base_id = name_and_id(base or None)
    return ModelCardData(
        license=base_license if base else OWN_LICENCE,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=[TASK, "luab", "annotation-byproducts", f"luab-{args.loss}"],
        base_model=base_id,
        datasets=[dataset_id] if dataset_id else None,
        metrics=[metric for metric in ("accuracy", MAP) if metric in results] or None,
        model_name=_name(args),
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


def _schedule(args: LUABConfig, state: TrainerState, best: BestWeights | None) -> list[tuple[str, Any]]:
    """Steps, batch size and learning rate of the training."""
    kept = "" if best is None else f"; the weights are those of step {best.step}, the best"
    # If the batch size was found automatically, it is in the state.
    batch = (state.train_batch_size or args.train_batch_size) // max(args.n_gpu, 1)
    return [
        ("steps", f"{state.global_step} of {state.max_steps}{kept}"),
        ("epochs", f"{state.epoch or 0:.2f}"),
        ("batch size (a device)", batch),
        ("gradient accumulation, processes", f"{args.gradient_accumulation_steps}, {args.world_size}"),
        ("learning rate, schedule", f"{args.learning_rate:g}, {SchedulerType(args.lr_scheduler_type).value}"),
        ("weight decay", f"{args.weight_decay:g}"),
        ("seed", args.seed),
    ]


def license_of(model: str) -> str | None:
    """The license of a model on the Hub; None if it has none, or the Hub cannot be reached."""
    _, hub_id = name_and_id(model or None)
    if hub_id is None:
        return None
    try:
        card = HfApi().model_info(hub_id, timeout=10).card_data
    except (HTTPError, OSError):
        return None
    return card.license if card is not None else None


def results_of(state: TrainerState, best: BestWeights | None = None) -> dict[str, float]:
    """The newest value of each evaluation metric of the model's weights, without `eval_`.

    Evaluations of other steps are of other weights.
    """
    step, logged = (state.global_step, len(state.log_history)) if best is None else best
    results: dict[str, float] = {}
    for number, entry in enumerate(state.log_history):
        if entry.get("step") != step and number < logged:
            continue
        for key, value in entry.items():
            if key.startswith("eval_") and not any(word in key for word in _NOT_RESULTS):
                results[key.removeprefix("eval_")] = value
    return results


def _part(split: str | None) -> str:
    return "" if split is None else f" (`{split}`)"


def _table(header: tuple[str, str], rows: list[tuple[str, Any]]) -> str:
    if not rows:
        return ""
    lines = [header, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)


def card_splits(run_arguments: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The splits of training and evaluation that a run's arguments name, for `model_card`."""
    train, evaluated = run_arguments.get("train_split"), run_arguments.get("eval_split")
    if share := run_arguments.get("eval_share"):
        evaluated = f"{train}, {percent(share)} held out"
    return train, evaluated
