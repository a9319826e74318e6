"""The image processor that belongs to a classifier."""

from PIL.Image import Resampling
from transformers import BaseImageProcessor

from luab_trainer.geometry import pair
from luab_trainer.transforms import IMAGENET_MEAN, IMAGENET_STD

PROCESSOR_FILE = "preprocessor_config.json"


def square_processor(size: int | tuple[int, int]) -> BaseImageProcessor:
    """Resize to `size` (a square's side, or height and width), ImageNet's mean and standard deviation."""
    from transformers import ViTImageProcessor  # here: without torchvision its import alone warns

    height, width = pair(size)
    return ViTImageProcessor(
        size={"height": height, "width": width},
        resample=Resampling.BICUBIC,
        image_mean=list(IMAGENET_MEAN),
        image_std=list(IMAGENET_STD),
    )
