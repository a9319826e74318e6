"""Our training arguments, on top of transformers' `TrainingArguments`."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy

from luab_attention.targets import LabelPolicy
from luab_data.files.whole import sole_writer
from luab_data.rows.columns import AREA_KINDS, ByproductKind
from luab_trainer.lamb import check_lamb
from luab_trainer.losses.attention import GAZE, TELLS
from luab_trainer.options.byproducts import check_byproduct
from luab_trainer.options.contradictions import check_combinations, check_device, check_own_combinations
from luab_trainer.options.fine_tuning import check_fine_tuning
from luab_trainer.options.inherited import check_values, settle
from luab_trainer.options.numbers import check_numbers
from luab_trainer.public_names import public_options
from luab_vision.cls_attention import ALL

BACKGROUND_SHARE, BACKGROUND_RADIUS = 0.9, 0.75  # of `luab_trainer.data.background`, by default
OBJECT, DISC = "object", "disc"  # what stays around a point
GAZE_SHARE = 0.5  # of gaze and heat maps, which do not tell how far an object reaches


@dataclass
class LUABConfig(TrainingArguments):
    """Which byproduct to learn from, and by which loss; the rest is transformers' `TrainingArguments`.

    `luab_trainer.options.inherited` says who implements each inherited argument, or why it is rejected.

    > NOTE: inherited defaults that are changed here:
    > - `do_train` and `do_eval` are True: set one to False to skip it.
    > - `remove_unused_columns` is False: our dataset and collator make the samples.
    > - `label_names` is ["labels"]: otherwise the trainer would treat `target_labels` as labels too.
    > - `logging_nan_inf_filter` is False: it hides a NaN loss behind an average of earlier losses.
    > - `ddp_find_unused_parameters` is True without gradient checkpointing, else False: the trainer's own
    >   default for a transformers model (some have parameters that a classifier does not use).
    """

    loss: str = field(
        default="attention",
        metadata={
            "choices": ["none", "point", "attention", "both"],
            "help": "Byproduct loss: attention = keep the model's attention near the byproduct; point = the "
            "paper's, regress the click from the features (works with every model); both; none = the plain "
            "classifier.",
        },
    )
    classification_loss: str = field(
        default="ce",
        metadata={
            "choices": ["ce", "bce"],
            "help": "ce = cross-entropy; bce = binary cross-entropy for one label per image, as in ResNet's "
            "recipes A1 to A3 (default: ce).",
        },
    )
    byproduct: ByproductKind = field(
        default="click",
        metadata={
            "choices": ["click", "trace", "click+trace", *AREA_KINDS],
            "help": "What to learn from: the click, the cursor's trace to it, or both; or the columns of "
            "gaze and mouse paths (scanpath), boxes, masks, or heat maps (default: click).",
        },
    )
    attention_weight: float | None = field(
        default=None,
        metadata={
            "help": "Weight of the attention loss (default: 2; energy: 1; kl: 5 for CLS attention, else 1; "
            "with several labels per image or --classification_loss bce: a twentieth of these)."
        },
    )
    attention_form: str = field(
        default="hinge",
        metadata={
            "choices": ["hinge", "energy", "kl"],
            "help": "hinge = penalize attention far from the byproduct beyond a tolerance; energy = all of "
            "it; kl = match a Gaussian, or the density of the gaze, box, mask or map.",
        },
    )
    attention_radius: float | None = field(
        default=None,
        metadata={
            "help": "Radius within which attention is near, as a ratio of the crop; kl: the Gaussian's sigma "
            "(default: hinge .25 for CLS attention, .35 for feature maps; kl .15)."
        },
    )
    attention_sigma: float | None = field(
        default=None,
        metadata={
            "help": "With --byproduct scanpath: sigma of the Gaussian around a fixation, as a ratio of the "
            "image's width (default: attention_source.sigma of the data, or two degrees by its "
            "pixels_per_degree, or .1)."
        },
    )
    attention_tolerance: float | None = field(
        default=None,
        metadata={
            "help": "With --attention_form hinge: share of the attention that may be far (default: .5 for "
            "CLS attention, gaze and heat maps, else .2)."
        },
    )
    attention_layers: str = field(
        default=ALL,
        metadata={
            "help": "Layers of a vision transformer whose attention the loss is on: all, lastN (last4), or "
            "numbers from 0 (0,5,11) (default: all)."
        },
    )
    attention_heads: str = field(
        default=ALL,
        metadata={
            "help": "Heads of these layers, whose mean the loss is on: all, or numbers from 0 (0,3) "
            "(default: all)."
        },
    )
    point_weight: float | None = field(
        default=None,
        metadata={
            "help": "Weight of the point loss (default: 10; with several labels per image or "
            "--classification_loss bce: 0.5)."
        },
    )

    background_mix: float | None = field(
        default=None,
        metadata={
            "help": "Share of the training crops with a byproduct that get another image's background: "
            "outside boxes and masks; of gaze and heat maps, where people looked little (default: .9 with "
            "the attention loss and one label per image, .5 with gaze and heat maps; else 0)."
        },
    )
    background_radius: float = field(
        default=BACKGROUND_RADIUS,
        metadata={
            "help": "With --background_mix: pixels farther from the click or trace are replaced; a ratio of "
            "the image, about 0.8 times the side of a large object (default: .75, for ImageNet's)."
        },
    )
    background_shape: str = field(
        default=OBJECT,
        metadata={
            "choices": [OBJECT, DISC],
            "help": "With --background_mix: what stays around a click or trace. object = what GrabCut cuts "
            "out within the radius, by color; disc = all within a radius that each crop draws from half of "
            "--background_radius to all of it (default: object).",
        },
    )
    cutmix: float = field(
        default=0.0,
        metadata={
            "help": "CutMix: share of the training crops that get a rectangle of another image, with the "
            "labels of both (default: 0)."
        },
    )
    cutmix_alpha: float = field(
        default=1.0,
        metadata={
            "help": "With --cutmix: the rectangle has 1 - lambda of the crop's area, lambda ~ Beta(alpha, "
            "alpha) (default: 1, which is uniform)."
        },
    )
    mixup: float = field(
        default=0.0,
        metadata={
            "help": "MixUp: share of the training crops that are blended with another image, with the labels "
            "and byproducts of both (default: 0)."
        },
    )
    mixup_alpha: float = field(
        default=0.2,
        metadata={
            "help": "With --mixup: the crop counts lambda, the other image 1 - lambda, lambda ~ Beta(alpha, "
            "alpha) (default: .2)."
        },
    )
    repeated_augmentation: int = field(
        default=1,
        metadata={
            "help": "Show each training image this many times in a row, with another crop each time. An "
            "epoch then has as many crops as before, of fewer images (default: 1)."
        },
    )
    label_policy: LabelPolicy = field(
        default="keep",
        metadata={
            "choices": ["keep", "authors"],
            "help": "Labels of a training crop, if an image has several: keep = all labels of the image; "
            "authors = without classes whose point is outside the crop.",
        },
    )

    freeze: str | None = field(
        default=None,
        metadata={
            "help": "backbone = train only the head; a number N = freeze the stem and the first N blocks, or "
            "stages, of the model. Frozen parts run as in an evaluation."
        },
    )
    layer_decay: float | None = field(
        default=None,
        metadata={
            "help": "Layer-wise learning rates: each block has this many times the rate of the next one, as "
            ".75; the head has --learning_rate (default: all have it)."
        },
    )

    lora_r: int | None = field(
        default=None,
        metadata={
            "help": "LoRA: rank of the matrices that are trained beside the frozen weights, such as 8; the "
            "head is trained in full. Needs luab[peft]."
        },
    )
    lora_alpha: int | None = field(
        default=None,
        metadata={"help": "With --lora_r: their scale is alpha / r (default: twice --lora_r)."},
    )
    lora_dropout: float = field(
        default=0.0, metadata={"help": "With --lora_r: dropout of their input (default: 0)."}
    )
    lora_targets: list[str] | None = field(
        default=None,
        metadata={
            "help": "With --lora_r: names, or ends of names, of the modules to adapt, such as q_proj v_proj "
            "(default: every Linear of the blocks; if there is none, every convolution)."
        },
    )
    ema_decay: float | None = field(
        default=None,
        metadata={
            "help": "Evaluate and save an exponential moving average of the weights, which keeps this share "
            "of itself in each step, such as .999 (default: the weights themselves)."
        },
    )

    lamb: bool = field(
        default=False,
        metadata={
            "help": "LAMB instead of --optim, for large batches; it is timm's, and needs luab[timm] and a "
            "--weight_decay (default: off)."
        },
    )

    early_stopping_patience: int | None = field(
        default=None,
        metadata={
            "help": "Stop after this many evaluations in a row without a better --metric_for_best_model "
            "(default: never). Needs --load_best_model_at_end True."
        },
    )

    do_train: bool = field(
        default=True, metadata={"help": "Train (default). False: only evaluate --model, and save nothing."}
    )
    do_eval: bool = field(
        default=True, metadata={"help": "Evaluate if there are rows for it (default). False: never."}
    )
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Leave it off: a loss that is not finite ends the training."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Leave it off: samples are made by our own dataset and collator."}
    )

    if TYPE_CHECKING:
        output_dir: str = ""  # `TrainingArguments` puts its default in the place of None

    def __post_init__(self) -> None:
        self.check_own()
        settle(self)
        check_values(self)
        check_combinations(self)
        super().__post_init__()  # type: ignore[no-untyped-call]
        check_device(self)
        strategy = HubStrategy(self.hub_strategy)
        if strategy not in (HubStrategy.END, HubStrategy.EVERY_SAVE):
            raise ValueError(
                f"hub_strategy={strategy.value!r} uploads the optimizer's state, which is pickled: "
                "what is published is safetensors only. Allowed are 'every_save' (the default) and 'end'."
            )
        if self.label_names is None:
            self.label_names = ["labels"]
        if self.ddp_find_unused_parameters is None:
            self.ddp_find_unused_parameters = not self.gradient_checkpointing

    def to_dict(self) -> dict[str, Any]:
        """The options for reports, cards and checkpoints, which may be public.

        Without tokens, and with folder names instead of paths.
        """
        return public_options(super().to_dict())  # type: ignore[no-untyped-call]

    def settle_mix(self, multi_label: bool) -> None:
        """Gives `background_mix` of a training its default, once the labels of an image are known.

        Args:
            multi_label: Whether an image may have several labels.
        """
        if self.do_train and self.background_mix is None:
            mixes = self.loss in ("attention", "both") and not multi_label
            share = GAZE_SHARE if TELLS[self.byproduct] == GAZE else BACKGROUND_SHARE
            self.background_mix = share if mixes else 0.0

    @property
    def learned(self) -> ByproductKind | None:
        """The byproduct that a loss learns from; None without one."""
        return None if self.loss == "none" else self.byproduct

    @property
    def used(self) -> ByproductKind | None:
        """The byproduct that a loss learns from, or that the background mix keeps; None without one."""
        return self.byproduct if self.background_mix and self.do_train else self.learned

    @property
    def read_byproduct(self) -> ByproductKind | None:
        """The byproduct that the rows must have, to be used or for the labels; None without one."""
        return self.used or ("click" if self.label_policy == "authors" else None)

    @property
    def shuffles(self) -> bool:
        """Whether a byproduct changes the training, so that a control may shuffle it."""
        return self.loss != "none" or bool(self.background_mix) or self.label_policy == "authors"

    def check_own(self) -> None:
        """Raises ValueError for a number that no loss can use, NaN included, and for contradictions."""
        check_numbers(self)
        check_byproduct(self)
        check_fine_tuning(self)
        check_lamb(self)
        check_own_combinations(self)

    def only_run(self) -> AbstractContextManager[None]:
        """Locks the output folder, in the run's first process, so that two runs do not mix checkpoints.

        Raises:
            SourceError: on entering, if another run writes into the output folder.
        """
        return sole_writer(self.output_dir, "--output_dir") if self.should_save else nullcontext()
