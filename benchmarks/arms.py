"""What is trained: arms x worlds x models x seeds, and the settings of each.

    plain      cross-entropy alone
    luab       the trainer's defaults
    shuffled   luab with the click of another image
    astray     luab with clicks outside the object's box: the gain that is left is not the clicks'
    oracle     plain, on the same objects where backgrounds say nothing
    cutmix, erasing   plain with an augmentation that needs no byproduct
    jtt        Just Train Twice, which needs none either (jtt.py)
    attention, mix    one half of luab
    point      the paper's loss: the click regressed from the features
    clicks-50, -10, -1, astray-10, -30, centers, anywhere   luab with fewer or other clicks (worlds.py)
    boxes, masks, heatmaps, traces, gaze   luab with these of the demo's world instead of clicks
        (--byproduct); gaze: the traces as a density, as `--byproduct scanpath` reads them
    shuffled-boxes, shuffled-masks, ...   their controls: each image has those of another one

Seed s trains in the world of seed s (worlds.py). Models with `-started` go on from the checkpoint of the
plain natural run.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from luab_data.rows.columns import AREA_KINDS, ByproductKind

WORLDS = ("demo", "real", "natural")
MODELS = ("vit", "convnext", "mobilenet", "vit-started", "convnext-started")
CONTROL = "shuffled-"
REGIONS = "regions"  # of regions.py
JTT = "jtt"
NOTHING = {"loss": "none", "background_mix": 0.0}
# Dataset, options of the trainer, options of the data.
ARMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("train", NOTHING, {}),
    "luab": ("train", {}, {}),
    "shuffled": ("shuffled", {}, {}),
    "astray": ("astray", {}, {}),
    "oracle": ("oracle", NOTHING, {}),
    "cutmix": ("train", NOTHING | {"cutmix": 0.5}, {}),
    "erasing": ("train", NOTHING, {"random_erasing": 0.5}),
    JTT: ("train", NOTHING, {}),
    "attention": ("train", {"background_mix": 0.0}, {}),
    "point": ("train", {"loss": "point", "background_mix": 0.0}, {}),
    "mix": ("train", {"loss": "none", "background_mix": 0.9}, {}),
    **{
        name: (name, {}, {})
        for name in (
            "clicks-50", "clicks-10", "clicks-1", "astray-10", "astray-30", "centers", "anywhere"
        )
    },
}  # fmt: skip
# What other arms learn from instead of clicks, in the demo's world: split of the world, kind of byproduct.
OTHER_BYPRODUCTS: dict[str, tuple[str, ByproductKind]] = {
    "boxes": (REGIONS, "boxes"),
    "masks": (REGIONS, "masks"),
    "heatmaps": (REGIONS, "heatmap"),
    "traces": ("train", "trace"),
    "gaze": (REGIONS, "scanpath"),
}
ARMS |= {
    f"{control}{name}": (split, {"byproduct": kind}, {})
    for name, (split, kind) in OTHER_BYPRODUCTS.items()
    for control in ("", CONTROL)
}
FINAL_ARMS = ("plain", "luab", "shuffled", "astray", "oracle", "cutmix")
WITHOUT_CLICKS = ("plain", "oracle", "cutmix", "erasing", JTT)
NO_SHORTCUT = ("natural",)  # worlds without an oracle
# Options of the arms with clicks: 0.8 of the side of a large object. That side, the 90th percentile of the
# roots of the areas of the training images' boxes, is 0.44 in `demo`, 0.58 in `real` and 0.96 in `natural`.
BY_WORLD: dict[str, dict[str, Any]] = {
    "demo": {"background_radius": 0.35},
    "real": {"background_radius": 0.46},
    "natural": {},
}
# Options of the trainer, the same for all arms.
COMMON = {
    "per_device_train_batch_size": 64,
    "weight_decay": 0.05,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
}
MIN_CROP = 0.5
# The same by world and model.
TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    # No gradient is clipped: with the usual norm of 1, LUAB learned less (seed 100).
    ("demo", "vit"): {
        "num_train_epochs": 16,
        "learning_rate": 2e-3,
        "per_device_train_batch_size": 32,
        "max_grad_norm": 1e3,
    },
    ("demo", "convnext"): {"num_train_epochs": 24, "learning_rate": 4e-3, "per_device_train_batch_size": 32},
    ("real", "vit"): {"num_train_epochs": 10, "learning_rate": 1e-3},
    ("real", "convnext"): {"num_train_epochs": 30, "learning_rate": 2e-3},
    ("real", "mobilenet"): {"num_train_epochs": 2, "learning_rate": 5e-4},
    ("real", "vit-started"): {"num_train_epochs": 5, "learning_rate": 5e-4},
    ("real", "convnext-started"): {"num_train_epochs": 10, "learning_rate": 1e-3},
    # With 10 and 30 epochs, LUAB learned less than plain on whole images; with these, more (seed 100).
    ("natural", "vit"): {"num_train_epochs": 30, "learning_rate": 1e-3},
    ("natural", "convnext"): {"num_train_epochs": 60, "learning_rate": 2e-3},
    ("natural", "mobilenet"): {"num_train_epochs": 2, "learning_rate": 5e-4},
}
START_EPOCHS = {"vit": 10, "convnext": 30}  # of the natural runs that others go on from
STARTED = "-started"


@dataclass(frozen=True)
class Run:
    """One training, and all that it depends on."""

    world: str
    model: str
    arm: str
    seed: int
    images_per_class: int
    changed: tuple[tuple[str, Any], ...] = ()  # options of the trainer that are not the arm's

    @property
    def key(self) -> str:
        """Name of the run in the results; with other settings or defaults of the trainer it is another."""
        from worlds import VERSION

        start = self.start
        of_start = start and [*start.training.items(), *start.changed]
        settings = [
            VERSION,
            asdict(self),
            ARMS[self.arm],
            self.training,
            of_start,
            MIN_CROP,
            self.constants(),
        ]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.world}-{self.model}-{self.arm}-{self.seed}-{digest}"

    @property
    def training(self) -> dict[str, Any]:
        """Options of the trainer that all arms have."""
        return COMMON | TRAINING[self.world, self.model]

    @property
    def options(self) -> dict[str, Any]:
        """All options of the trainer."""
        own = ARMS[self.arm][1] | dict(self.changed)
        mixes = self.arm not in WITHOUT_CLICKS and own.get("background_mix") != 0
        radius = BY_WORLD[self.world] if mixes and own.get("byproduct") not in AREA_KINDS else {}
        return self.training | radius | own

    def constants(self) -> list[Any]:
        """What an arm depends on besides: the defaults of its loss and its mix, or those of `jtt.py`."""
        import jtt

        from luab_attention.blur import TARGET
        from luab_trainer.config import OBJECT, LUABConfig
        from luab_trainer.data import area_mix, background, cutout
        from luab_trainer.losses.attention import defaults
        from luab_trainer.losses.point import PointLoss

        if self.arm == JTT:
            return [jtt.FIRST, jtt.TIMES]
        if self.arm in WITHOUT_CLICKS:
            return []
        config = LUABConfig("unused", use_cpu=True, **self.options)
        config.settle_mix(multi_label=False)
        found: list[Any] = []
        if config.loss in ("attention", "both"):
            kind = "cls" if self.model.startswith("vit") else "map"
            found.append(defaults(kind, config.attention_form, config.byproduct))
        if config.loss in ("point", "both"):
            found.append(PointLoss.default_weight)
        if config.background_mix:
            mix = background.BackgroundMix(
                config.background_mix, config.background_radius, shape=config.background_shape
            )
            found += [asdict(mix), background.COVER, background.EDGE, background.HEAVY, background.MAX_DONORS]
            if config.byproduct not in AREA_KINDS and mix.shape == OBJECT:
                found += [cutout.SIDE, cutout.ROUNDS, cutout.SURE, cutout.FAR]
        if config.byproduct in AREA_KINDS:
            found += [area_mix.LEVELS, area_mix.HOLES]
        return [*found, list(TARGET)] if config.byproduct == "scanpath" else found

    @property
    def start(self) -> "Run | None":
        """The run whose checkpoint this one goes on from."""
        if not self.model.endswith(STARTED):
            return None
        model = self.model.removesuffix(STARTED)
        epochs = ("num_train_epochs", START_EPOCHS[model])
        return Run("natural", model, "plain", self.seed, self.images_per_class, (epochs,))
