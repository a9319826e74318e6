"""The builder behind `datasets.load_dataset("imagenet_ab", ...)`: rows directly from the raw files."""

from dataclasses import dataclass

from imagenet_ab.pairs import RawImageNetAB
from luab_data.build.builder import RawFilesBuilder, RawFilesConfig, configurations
from luab_data.build.raw import FULL


@dataclass
class ImageNetABConfig(RawFilesConfig):
    """Where the raw files are; see `imagenet_ab.load_dataset`."""

    classes: list[str] | None = None


class ImageNetAB(RawFilesBuilder):
    """Configurations `full` (images and byproducts), `byproducts` (no images), `sample` (generated)."""

    BUILDER_CONFIG_CLASS = ImageNetABConfig
    BUILDER_CONFIGS = configurations(ImageNetABConfig)
    BUILD_COMMAND = "luab build imagenet_ab"

    def open_raw(self) -> RawImageNetAB:
        """The raw files that the configuration names."""
        config = self.config
        return RawImageNetAB(config.images, self.byproducts(), config.name == FULL, config.classes)
