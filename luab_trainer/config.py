"""The training arguments that are ours, on top of transformers' `TrainingArguments`."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy

from luab_data.files.whole import sole_writer
from luab_trainer.options.contradictions import check_combinations, check_device
from luab_trainer.options.inherited import check_values, settle


@dataclass
class LUABConfig(TrainingArguments):
    """What byproducts to learn from, by which loss; everything else is transformers' `TrainingArguments`.

    `luab_trainer.options.inherited` says of each inherited argument who does it, or why it is refused.

    > NOTE: inherited defaults that are changed here:
    > - `do_train` and `do_eval` are True: without one of them it is not done.
    > - `remove_unused_columns` is False: samples are made by our own dataset and collator.
    > - `label_names` is ["labels"]: the trainer would take `target_labels` for labels too.
    > - `logging_nan_inf_filter` is False: it writes an average of earlier losses where a loss is NaN.
    > - `ddp_find_unused_parameters` is True without gradient checkpointing, else False: what the trainer
    >   does itself for a transformers model (some have parameters that a classifier does not use).
    """

    loss: str = field(
        default="attention",
        metadata={
            "choices": ["none", "point", "attention", "both"],
            "help": "Byproduct loss: attention = ask the model to look where the annotator was; point = the "
            "paper's, regress the click from the features (works with every model); both; none = the plain "
            "classifier.",
        },
    )
    byproduct: str = field(
        default="click",
        metadata={
            "choices": ["click", "trace", "click+trace"],
            "help": "What to learn from: the click, the cursor's trace to it, or both.",
        },
    )
    attention_weight: float | None = field(
        default=None,
        metadata={
            "help": "Weight of the attention loss (default: 2; kl: 5 for CLS attention, else 1; several "
            "labels an image: a twentieth of it)."
        },
    )
    attention_form: str = field(
        default="hinge",
        metadata={
            "choices": ["hinge", "kl"],
            "help": "hinge = penalise attention far from the byproduct beyond a tolerance; kl = match a "
            "Gaussian.",
        },
    )
    attention_radius: float | None = field(
        default=None,
        metadata={
            "help": "How far is far, as a ratio of the crop; of kl the Gaussian's sigma (default: hinge .25 "
            "for CLS attention, .35 for feature maps; kl .15)."
        },
    )
    attention_tolerance: float | None = field(
        default=None,
        metadata={"help": "Share of the attention that may be far (default: .5 for CLS attention, else .2)."},
    )
    point_weight: float | None = field(
        default=None,
        metadata={"help": "Weight of the point loss (default: 10; several labels an image: 0.5)."},
    )

    label_policy: str = field(
        default="keep",
        metadata={
            "choices": ["keep", "authors"],
            "help": "With several labels an image, in training crops: keep = an image keeps all its labels; "
            "authors = a class whose point is cropped away loses its label.",
        },
    )

    do_train: bool = field(
        default=True, metadata={"help": "Train (default); False: only evaluate --model, and save nothing."}
    )
    do_eval: bool = field(
        default=True, metadata={"help": "Evaluate where there are rows for it (default); False: never."}
    )
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Leave it off: a loss that is not finite ends the training."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Leave it off: samples are made by our own dataset and collator."}
    )

    def __post_init__(self) -> None:
        self._check_own()
        settle(self)
        check_values(self)
        check_combinations(self)
        super().__post_init__()
        check_device(self)
        if self.hub_strategy not in (HubStrategy.END, HubStrategy.EVERY_SAVE):
            raise ValueError(
                f"hub_strategy={self.hub_strategy.value!r} uploads the optimizer's state, which is pickled: "
                "what is published is safetensors only. Allowed are 'every_save' (the default) and 'end'."
            )
        if self.label_names is None:
            self.label_names = ["labels"]
        if self.ddp_find_unused_parameters is None:
            self.ddp_find_unused_parameters = not self.gradient_checkpointing

    def _check_own(self) -> None:
        """Raises ValueError for a number that no loss can be made with; NaN passes every comparison."""
        for name, fits, allowed in (
            ("point_weight", lambda value: 0 <= value < math.inf, "a number of 0 or more"),
            ("attention_weight", lambda value: 0 <= value < math.inf, "a number of 0 or more"),
            ("attention_radius", lambda value: 0 < value < math.inf, "a ratio of the crop, more than 0"),
            ("attention_tolerance", lambda value: 0 <= value < 1, "a share, 0 or more and less than 1"),
        ):
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise ValueError(f"--{name} {value}: give {allowed}.")

    def only_run(self) -> AbstractContextManager[None]:
        """Two runs would mix their checkpoints: the first of a run's processes keeps others out for all.

        Raises:
            SourceError: on entering, where another run writes into the output folder.
        """
        return sole_writer(self.output_dir, "--output_dir") if self.should_save else nullcontext()
