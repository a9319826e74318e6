"""The command line of `run.py`: our options first, then transformers' training arguments."""

import argparse
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from transformers import HfArgumentParser, TrainingArguments
from transformers.hf_argparser import DataClassType

from luab_attention.points import PointUnits
from luab_data.adapters.argument_parser import actions_of
from luab_data.console.text import did_you_mean
from luab_data.errors import SourceError
from luab_data.rows.labels import LabelFormat
from luab_trainer.config import LUABConfig
from luab_trainer.options.file import Option, read_options
from luab_trainer.options.together import problem_of
from luab_vision.policies import named_policy


def _option(default: Any, text: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": text, **metadata})


@dataclass
class RunArguments:
    """Model and data of a run. Nothing here concerns the trainer, so these are no `TrainingArguments`."""

    model: str | None = _option(None, "Checkpoint to start from: a Hub id or a folder.")
    from_config: str | None = _option(
        None,
        "Instead of --model: train this architecture from scratch; a config.json, its folder, or a Hub id.",
    )
    image_size: int | None = _option(
        None,
        "Side of the input images in pixels; position encodings are interpolated (default: the model's).",
    )
    eval_crop: float | None = _option(
        None,
        "Share of the resized image's side that the central crop of an evaluation takes, such as .95; saved "
        "with the model (default: as its image processor says).",
    )
    drop_path: float | None = _option(
        None, "Drop path (stochastic depth) of the last block, such as .1 (default: the config's)."
    )
    dataset: str | None = _option(None, "Dataset with images, labels and byproducts: a folder or a Hub id.")
    dataset_config: str | None = _option(None, "The dataset's configuration, if it has several.")
    train_split: str = _option("train", "Split to train on, or a part of one: train[:80%] (default: train).")
    eval_split: str | None = _option(
        None, "Split to evaluate on (default: validation, valid, val, dev, eval or test, if there is one)."
    )
    eval_share: float | None = _option(
        None,
        "Instead of --eval_split: hold out a share of the training rows, such as 0.1, of each class.",
    )
    eval_dataset: str | None = _option(None, "Another dataset to evaluate on (default: --dataset).")
    eval_boxes: str | None = _option(
        None,
        "CSV of boxes (file,x0,y0,x1,y1,width,height): --eval_dataset is then a folder <class>/<file>; or "
        "COCO's instances_val2014.json: it is then the folder val2014.",
    )
    image_column: str = _option("image", "Column of the image (default: image).")
    label_column: str | None = _option(
        None, "Column of the class, or list of classes (default: label or labels)."
    )
    class_names: str | None = _option(
        None,
        "Class names in the order of their numbers, if the column has none: cat,dog or a text file of one "
        "name a line (default: from the rows).",
    )
    label_format: LabelFormat = _option(  # noqa: RUF009 (a field)
        "auto",
        "How to read lists of 0 and 1: multi_hot (a value for each class) or indices (class numbers).",
        choices=["auto", "indices", "multi_hot"],
    )
    point_column: str | None = _option(
        None,
        "Column of the click: {x, y}, [x, y], a list of these (with optional weight and label), or null "
        "(default: click or points).",
    )
    x_column: str | None = _option(None, "Instead of --point_column: column of x, from the left.")
    y_column: str | None = _option(None, "Column of y, from the top.")
    point_units: PointUnits = _option(  # noqa: RUF009 (a field)
        "ratio",
        "Unit of the points: ratios of the image, percent, or pixels of the columns width and height or of "
        "the upright image (default: ratio).",
        choices=["ratio", "percent", "pixels"],
    )
    points_file: str | None = _option(
        None, "CSV, JSONL or Parquet with points of the images: file, x, y, one line per point."
    )
    annotations_column: str = _option("annotations", "Column of the annotations that hold the traces.")
    shuffle_byproducts: int | None = _option(
        None,
        "The control of a run: train with this seed's permutation of the byproducts between the rows "
        "(default: each row has its own).",
    )
    streaming: bool = _option(
        False,
        "Read the training rows during training; needs --max_steps. Nothing is downloaded in advance.",
    )
    shuffle_buffer: int = _option(
        1000, "With --streaming: size of the shuffle buffer in rows; 0 keeps the order (default: 1000)."
    )
    min_crop: float = _option(0.08, "Smallest share of the image that a training crop shows (default: 0.08).")
    augment: str = _option(
        "none",
        "Policy of augmentation: randaugment, autoaugment, 3augment, or as rand-m9-mstd0.5-inc1 (default: "
        "none).",
    )
    flip: bool = _option(
        True,
        "Mirror half of the training crops, left to right (default). --no_flip where left and right differ, "
        "as in digits or X-rays.",
    )
    color_jitter: float = _option(0.0, "Strength of random brightness, contrast and saturation (default: 0).")
    random_erasing: float = _option(0.0, "Probability of blanking out a random rectangle (default: 0).")

    def __post_init__(self) -> None:
        checks: tuple[tuple[str, Callable[[float], bool], str], ...] = (
            ("min_crop", lambda value: 0 < value <= 1, "a share of the image, more than 0 and at most 1"),
            ("shuffle_byproducts", lambda value: value >= 0, "a seed, 0 or more"),
            ("eval_share", lambda value: 0 < value < 1, "a share of the rows, more than 0, less than 1"),
            ("image_size", lambda value: value >= 1, "pixels, 1 or more"),
            ("eval_crop", lambda value: 0.1 <= value <= 1, "a share of the side, 0.1 to 1"),
            ("drop_path", lambda value: 0 <= value < 1, "a probability, 0 or more and less than 1"),
            ("color_jitter", lambda value: 0 <= value < math.inf, "a strength, 0 or more"),
            ("random_erasing", lambda value: 0 <= value <= 1, "a probability, 0 to 1"),
        )
        for name, fits, allowed in checks:
            if (value := getattr(self, name)) is not None and not fits(value):
                raise ValueError(f"--{name} {value}: {allowed}")
        try:
            named_policy(self.augment)
        except ValueError as error:
            raise ValueError(f"--augment {error}") from error
        if self.eval_share is not None and (self.eval_split or self.eval_dataset):
            raise ValueError(
                "--eval_share holds out training rows; it does not go with --eval_split and --eval_dataset"
            )
        if (self.x_column is None) != (self.y_column is None):
            raise ValueError("--x_column and --y_column go together; give both")
        if self.x_column is not None and self.point_column is not None:
            raise ValueError("--point_column does not go with --x_column and --y_column; give it or them")
        self._check_streaming()

    @property
    def source(self) -> str:
        """The dataset. Raises SourceError if none is given."""
        if self.dataset is None:
            raise SourceError("--dataset is missing: a folder or a Hub id")
        return self.dataset

    def _check_streaming(self) -> None:
        if self.shuffle_buffer < 0:
            raise ValueError(f"--shuffle_buffer {self.shuffle_buffer}: a number of rows, 0 or more")
        if not self.streaming:
            return
        if "[" in self.train_split:
            raise ValueError(
                f"--train_split {self.train_split} does not go with --streaming: the length of a stream is "
                "unknown. Give a whole split"
            )
        for option in ("eval_share", "points_file", "shuffle_byproducts"):
            if (value := getattr(self, option)) is not None:
                raise ValueError(
                    f"--{option} {value} needs all rows before training starts; leave it or --streaming out"
                )


# The arguments of transformers that --help shows.
COMMON = (
    "output_dir", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "per_device_eval_batch_size", "gradient_accumulation_steps", "learning_rate", "weight_decay",
    "warmup_steps", "lr_scheduler_type", "seed", "bf16", "torch_compile", "dataloader_num_workers",
    "eval_strategy", "save_strategy", "logging_steps", "load_best_model_at_end", "metric_for_best_model",
    "resume_from_checkpoint", "report_to", "push_to_hub", "hub_model_id",
)  # fmt: skip
_INHERITED = {f.name for f in fields(TrainingArguments)}
_RUN = tuple(f.name for f in fields(RunArguments))
_LUAB = tuple(f.name for f in fields(LUABConfig) if f.name not in _INHERITED)
# The types as written in the source: transformers' parser rewrites the fields' types.
_OPTIONS = {
    f.name: Option(str(get_type_hints(kind)[f.name]), f.default)
    for kind in (RunArguments, LUABConfig)
    for f in fields(kind)
    if f.init
}


class _Parser(HfArgumentParser):
    """`--help` shows what most runs need, `--help_all` everything."""

    def set_file(self, file: Path) -> None:
        """Use a YAML file's options as defaults, which the command line overrides.

        Raises:
            ValueError: see `read_options`; or a value that is not one of an option's choices.
        """
        values = read_options(file, _OPTIONS)
        choices = {action.dest: action.choices for action in actions_of(self)}
        for name, value in values.items():  # argparse checks a default's type, but not that it is a choice
            if (known := choices[name]) and value not in known:
                allowed = ", ".join(map(str, known))
                raise ValueError(f"{file}: {name}={value!r} is unknown; take one of {allowed}")
        self.set_defaults(**values)

    def format_usage(self) -> str:
        return f"usage: {self.prog} [CONFIG.yaml] [--option value ...]   (--help lists the options)\n"

    def format_help(self) -> str:
        return self.help_of(
            {"what to train on what": _RUN, "byproducts": _LUAB, "training (most used)": COMMON}
        )

    def help_of(self, groups: dict[str, Sequence[str]]) -> str:
        # The last action of a name is the plain option; transformers adds `--no_...` twins before or after.
        actions = {a.dest: a for a in reversed(actions_of(self))}
        formatter = argparse.HelpFormatter(self.prog, max_help_position=32, width=110)
        formatter.add_usage("%(prog)s [CONFIG.yaml] [--option value ...]", [], [])
        formatter.add_text(self.description)
        for title, names in groups.items():
            formatter.start_section(title)
            for name in names:
                action = copy.copy(actions[name])
                action.option_strings = action.option_strings[:1]
                action.metavar = None if action.choices else name.split("_")[-1].upper()
                action.help = " ".join((action.help or "").split()).partition(". ")[0].replace("%", "%%")
                formatter.add_argument(action)
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


def parse(argv: Sequence[str], description: str, prog: str = "run.py") -> tuple[RunArguments, LUABConfig]:
    """Options from the command line. A YAML file of options may come first.

    Exits with a message if an option is unknown or missing.
    """
    parser = _Parser(
        [DataClassType(RunArguments), DataClassType(LUABConfig)],
        prog=prog,
        description=description,
        epilog="All other arguments of transformers' TrainingArguments work too: --help_all lists them. "
        "A YAML file has the same names (`loss: attention`); the command line overrides it.",
        allow_abbrev=False,
    )
    argv = list(argv)
    if "--help_all" in argv:
        names = [f.name for f in fields(TrainingArguments) if f.init]
        print(parser.help_of({"what to train on what": _RUN, "byproducts": _LUAB, "training": names}))
        parser.exit()
    try:
        if argv and argv[0].endswith((".yaml", ".yml")):
            parser.set_file(Path(argv.pop(0)))
        run, config, unknown = parser.parse_args_into_dataclasses(
            argv, return_remaining_strings=True, look_for_args_file=False
        )
    except (ValueError, TypeError, OSError, ImportError) as error:  # wrong or contradicting values
        parser.error(" ".join(str(error).split()))
    if unknown:
        parser.error(_unknown(unknown[0]))
    if config.hub_token is not None:
        parser.error(
            "a token on a command line is seen by every user of the machine, and one in a YAML file by its "
            "readers: leave --hub_token out, and log in with `hf auth login` or set HF_TOKEN"
        )
    if problem := problem_of(run, config):
        parser.error(problem)
    return run, config


def _unknown(text: str) -> str:
    if text.endswith((".yaml", ".yml")):
        return f"{text}: a file of options comes first, before all options"
    if not text.startswith("-"):
        return f"{text!r} belongs to no option; quote a value that has spaces"
    name = text.partition("=")[0]
    return f"there is no option {name}{did_you_mean(name, [f'--{known}' for known in _OPTIONS])}"
