"""The builder behind `datasets.load_dataset("coco_ab", ...)`: rows directly from the raw files."""

from dataclasses import dataclass
from pathlib import Path

from coco_ab.pairs import RawCocoAB
from coco_ab.points import DEFAULT_RULE
from luab_data.build.builder import RawFilesBuilder, RawFilesConfig, configurations
from luab_data.build.raw import FULL


@dataclass
class CocoABConfig(RawFilesConfig):
    """Where the raw files are; see `coco_ab.load_dataset`."""

    instances: str | Path | None = None
    rule: str | None = None


class CocoAB(RawFilesBuilder):
    """Configurations `full` (images and byproducts), `byproducts` (no images), `sample` (generated)."""

    BUILDER_CONFIG_CLASS = CocoABConfig
    BUILDER_CONFIGS = configurations(CocoABConfig)
    OF_IMAGES = ("images", "instances")
    BUILD_COMMAND = "luab build coco_ab"

    def open_raw(self) -> RawCocoAB:
        """The raw files that the configuration names."""
        config = self.config
        with_images = config.name == FULL
        rule = config.rule or DEFAULT_RULE
        return RawCocoAB(config.images, config.instances, self.byproducts(), with_images, rule)
