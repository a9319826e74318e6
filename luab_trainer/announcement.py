"""What a run will do, printed before it starts as plain lines; the model card repeats it."""

from collections.abc import Iterable, Sequence

import torch
from transformers.trainer_utils import SaveStrategy

from luab_attention.blur import TARGET
from luab_attention.facts import RowFacts
from luab_data.console.text import counted, percent, printable
from luab_data.rows.columns import AREA_KINDS
from luab_trainer.config import LUABConfig
from luab_trainer.depth import looking_parameters
from luab_trainer.drop_path import drop_path_of
from luab_trainer.freezing import frozen_text
from luab_trainer.layer_decay import scales
from luab_trainer.lora import adapter_text, is_adapted
from luab_trainer.losses.attention import GAZE, TELLS
from luab_trainer.model import ATTENTION, LUABModel
from luab_vision.hooks import plain
from luab_vision.policies import AutoAugment, Policy, RandAugment, ThreeAugment
from luab_vision.transforms import ColorJitter, EvalTransform, RandomErasing, TrainTransform

Fact = tuple[str, str]  # name, value
NAMES_SHOWN = 3  # number of class names


def rows_fact(facts: RowFacts, byproduct: str | None) -> str:
    """The line on rows: "24, 19 of them (79.2 %) with a usable click"."""
    text = f"{facts.rows:,}"
    if facts.with_image < facts.rows:
        text += f", {facts.with_image:,} with an image"
    if byproduct is None:
        return text
    if facts.with_target is None:
        return f"{text}, without the column of the byproduct ({byproduct})"
    usable = f"{'' if byproduct in ('boxes', 'masks') else 'a '}usable {byproduct}"
    return f"{text}, {facts.with_target:,} of them ({facts.target_share:.1%}) with {usable}"


def data_facts(
    train: RowFacts | None, evaluated: RowFacts | None, args: LUABConfig, names: Sequence[str]
) -> list[Fact]:
    """The facts of the rows and their classes. None: no such rows, not requested, or a stream."""
    more = "; ..." if len(names) > NAMES_SHOWN else ""
    if evaluated is not None:
        evaluation = rows_fact(evaluated, args.learned)
    elif args.do_eval:
        streamed = args.do_train and train is None
        evaluation = f"none: give --eval_split or {'--eval_dataset' if streamed else '--eval_share'}"
    else:
        evaluation = "none: --do_eval False"
    if not args.do_train:
        training = "none: --do_train False"
    else:
        training = "not counted (streaming)" if train is None else rows_fact(train, args.used)
    return [
        ("training rows", training),
        ("rows to evaluate on", evaluation),
        ("classes", printable(f"{len(names):,}: {'; '.join(names[:NAMES_SHOWN])}{more}")),
    ]


def model_facts(
    luab: LUABModel, args: LUABConfig, start: str, transform: EvalTransform | None = None
) -> list[Fact]:
    """The facts of the model, its loss and how it is trained.

    Args:
        luab: The model with its losses.
        args: The run's settings.
        start: The initial weights: a checkpoint's name, or "random weights".
        transform: Transform of the training images; None without training, or if unknown.
    """
    facts = [("model", type(plain(luab.model)).__name__), ("started from", start), ("loss", loss_text(luab))]
    if args.label_smoothing_factor and args.do_train:
        facts.append(("label smoothing", f"{args.label_smoothing_factor:g}"))
    if args.used:
        facts.append(("byproduct", byproduct_text(args)))
    if ATTENTION in luab.weights:
        asked = [f"{what} {', '.join(map(str, numbers))}" for what, numbers in luab.spatial.chosen.items()]
        form = luab.attention.extra_repr() or type(luab.attention).__name__
        facts.append(("attention loss", "; ".join([form, *asked])))
        if warning := hurts(luab, args):
            facts.append(("warning", warning))
    if args.background_mix and args.do_train:
        mixed = f"{percent(args.background_mix)} of the crops with a byproduct"
        if args.byproduct not in AREA_KINDS:
            mixed += f", {args.background_shape} within radius {args.background_radius:g}"
        facts.append(("background mix", mixed))
    if args.cutmix and args.do_train:
        facts.append(("cutmix", f"{percent(args.cutmix)} of the crops, alpha {args.cutmix_alpha:g}"))
    if args.mixup and args.do_train:
        facts.append(("mixup", f"{percent(args.mixup)} of the crops, alpha {args.mixup_alpha:g}"))
    if args.repeated_augmentation > 1 and args.do_train:
        facts.append(("repeated augmentation", f"{args.repeated_augmentation} crops of an image in a row"))
    if luab.multi_label:
        facts.append(("labels in a crop", args.label_policy))
    if transform is not None:
        facts.append(("image size, augmentation", augmentation_text(transform)))
    if args.do_train:
        if dropped := drop_path_of(luab.model):
            facts.append(("drop path", f"0 to {dropped:g} over the blocks"))
        if args.freeze is not None:
            facts.append(("frozen", frozen_text(luab.model, args.freeze)))
        if is_adapted(luab.model):
            facts.append(("adapter", adapter_text(luab.model)))
        if args.lamb:
            facts.append(("optimizer", f"LAMB, of timm; weight decay {args.weight_decay:g}"))
        if args.layer_decay is not None:
            facts.append(("layer decay", decay_text(luab, args)))
        if args.ema_decay is not None:
            average = f"exponential, decay {args.ema_decay:g} a step; it is evaluated and saved"
            facts.append(("average of the weights", average))
        facts.append(("parameters", parameters_text(luab)))
    return [*facts, ("precision", precision(args))]


def run_facts(
    args: LUABConfig, rows: int | None, checkpoint: str | None, streaming: bool = False
) -> list[Fact]:
    """The facts of this run on this machine. `rows`: training rows; None for a stream or no training."""
    facts: list[Fact] = [
        ("device", f"{device_name(args.device)}; {counted(args.world_size, 'process', 'processes')}")
    ]
    if rows is None and not streaming:
        return [*facts, ("results", args.output_dir)]
    batch, accumulated = args.train_batch_size, args.gradient_accumulation_steps
    whole = batch * args.world_size * accumulated
    if streaming or rows is None:
        steps = f"{args.max_steps:,}, epochs are not counted (streaming)"
    else:
        number, epochs = steps_and_epochs(args, rows)
        steps = f"{number:,}, {epochs:.4g} {'epoch' if epochs == 1 else 'epochs'}"
    return [
        *facts,
        (
            "batch",
            f"{whole:,} rows a step: {batch:,} x {counted(args.world_size, 'process', 'processes')}"
            f" x {accumulated:,} accumulated",
        ),
        ("steps", f"{steps}; learning rate {args.learning_rate:g}, seed {args.seed}"),
        ("checkpoints", saving_text(args)),
        *stopping_facts(args),
        ("saved in", str(args.output_dir)),
        ("resumes from", "no checkpoint" if checkpoint is None else checkpoint),
    ]


def stopping_facts(args: LUABConfig) -> list[Fact]:
    """When a run ends early, if it may."""
    if args.early_stopping_patience is None:
        return []
    metric = args.metric_for_best_model
    evaluations = counted(args.early_stopping_patience, "evaluation")
    return [("early stopping", f"after {evaluations} in a row without a better {metric}")]


def announcement(facts: Iterable[Fact]) -> str:
    """The facts as aligned lines."""
    facts = list(facts)
    width = max(len(what) for what, _ in facts)
    return "\n".join(f"{what:<{width}}  {how}" for what, how in facts)


def loss_text(luab: LUABModel) -> str:
    """The loss in words: "cross-entropy + 2 x attention"."""
    entropy = "binary cross-entropy" if luab.binary else "cross-entropy"
    return " + ".join([entropy, *(f"{weight:g} x {term}" for term, weight in luab.weights.items())])


def byproduct_text(args: LUABConfig) -> str:
    """The byproduct that is used, and how far a fixation reaches."""
    if args.used != "scanpath":
        return str(args.used)
    said = f"{args.attention_sigma or TARGET.ratio:g} of the image's width"
    return f"scanpath, sigma {said}" if args.attention_sigma else f"scanpath, sigma of its source, or {said}"


def augmentation_text(transform: EvalTransform) -> str:
    """The size and augmentation of the training images, in words."""
    size = f"{transform.size[0]} x {transform.size[1]} pixels"
    if not isinstance(transform, TrainTransform):
        return f"{size}, no augmentation"
    smallest, largest = transform.scale
    parts = [f"{size}, random crops of {percent(smallest)} to {percent(largest)} of the image"]
    parts.append("flips" if transform.flip else "no flips")
    if transform.policy is not None:
        parts.append(policy_text(transform.policy))
    for each in transform.augmentations:
        if isinstance(each, ColorJitter):
            parts.append(f"color jitter {each.strength:g}")
        elif isinstance(each, RandomErasing):
            parts.append(f"random erasing {each.probability:g}")
        else:
            parts.append(type(each).__name__)
    return ", ".join(parts)


def policy_text(policy: Policy) -> str:
    """A policy of augmentation in words; of an own one its name."""
    if isinstance(policy, RandAugment | AutoAugment | ThreeAugment):
        return str(policy)
    return getattr(policy, "__name__", type(policy).__name__)


def parameters_text(luab: LUABModel) -> str:
    """How many of all parameters are trained."""
    every = sum(parameter.numel() for parameter in luab.parameters())
    trained = sum(parameter.numel() for parameter in luab.parameters() if parameter.requires_grad)
    text = f"{every:,}, all trained" if trained == every else f"{trained:,} trained of {every:,}"
    warning = powerless(luab)
    return text if warning is None else f"{text}. Warning: {warning}"


def decay_text(luab: LUABModel, args: LUABConfig) -> str:
    """The learning rates of the first and the last part that are trained."""
    share = scales(luab.model, args.layer_decay or 1.0)
    trained = [share[id(p)] for p in luab.model.parameters() if p.requires_grad]
    lowest, highest = (f"{args.learning_rate * of:.3g}" for of in (min(trained), max(trained)))
    return f"{args.layer_decay:g} a block: learning rates {lowest} at the input to {highest} at the head"


def powerless(luab: LUABModel) -> str | None:
    """A warning if the backbone is frozen: the byproduct losses then cannot change where the model looks."""
    if not luab.weights:
        return None
    if any(parameter.requires_grad for parameter in looking_parameters(luab.model)):
        return None
    return (
        f"the backbone is frozen, so the {' and '.join(luab.weights)} loss cannot change where the model "
        "looks; train some of its layers, or take --loss none"
    )


def hurts(luab: LUABModel, args: LUABConfig) -> str | None:
    """A warning if a convolutional network learns from gaze."""
    if luab.spatial.kind != "map" or TELLS[args.byproduct] != GAZE:
        return None
    return (
        "training on fixations lowered the accuracy of a ResNet-50, and not of a ViT-B/16 (arXiv "
        "2604.20027): compare with --loss none and with --shuffle_byproducts"
    )


def control_text(args: LUABConfig, seed: int) -> str:
    """What a control is, and what else than the places differs from a run with the rows' own byproducts."""
    text = f"byproducts shuffled between the training rows, seed {seed}"
    harms = {}
    if args.background_mix:
        harms["--background_mix 0"] = "the background mix covers labeled objects"
    if args.label_policy == "authors":
        harms["--label_policy keep"] = "--label_policy authors drops labels by other images' points"
    if not harms:
        return text
    return (
        f"{text}; {' and '.join(harms.values())}, so a difference to the control is also that damage: "
        f"compare with a plain run too, or train both with {' '.join(harms)}"
    )


def precision(args: LUABConfig) -> str:
    """Precision of the computation; the weights are float32."""
    return {"no": "float32", "bf16": "bfloat16, mixed", "fp16": "float16, mixed"}.get(
        args.mixed_precision, args.mixed_precision
    )


def device_name(device: torch.device) -> str:
    """The name of a device: "cpu", or the GPU's own."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def steps_and_epochs(args: LUABConfig, rows: int) -> tuple[int, float]:
    """Steps and epochs as the trainer counts them: an epoch's last batch and accumulation may be smaller."""
    batch = args.train_batch_size * args.world_size
    batches = rows // batch if args.dataloader_drop_last else -(-rows // batch)
    of_epoch = max(-(-batches // args.gradient_accumulation_steps), 1)
    steps = args.max_steps if args.max_steps > 0 else -(-args.num_train_epochs * of_epoch // 1)
    return int(steps), steps / of_epoch


def saving_text(args: LUABConfig) -> str:
    """When checkpoints are written."""
    strategy = SaveStrategy(args.save_strategy).value
    if strategy == "no":
        return "none, only the final model"
    if strategy != "steps":
        return "after each epoch" if strategy == "epoch" else "after each evaluation that is the best so far"
    share = args.save_steps < 1
    return (
        f"after each {percent(args.save_steps)} of the steps" if share else f"every {args.save_steps:,} steps"
    )
