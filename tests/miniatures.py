"""A classifier whose answer is known, and miniatures of the benchmarks' folders for it.

Class k of ImageNet's 1000 is a colour: its three digits are the amounts of red, green and blue.
`ColourClassifier` answers with the class whose colour is nearest to the image's mean colour.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

from luab_trainer.evaluation.benchmark import Benchmark, Scores
from luab_trainer.evaluation.class_maps import wnids
from luab_trainer.evaluation.models import Classifier
from luab_trainer.evaluation.predict import PassSettings, predict
from luab_trainer.transforms import ImageSettings

SIDE = 8
PLAIN = ImageSettings(size=SIDE, mean=(0, 0, 0), std=(1, 1, 1), resize=SIDE)
QUIET = PassSettings(batch_size=4, num_workers=0, progress=False)
# [1000, 3] levels 0 to 255
COLOURS = np.array([[20 + 24 * int(digit) for digit in f"{k:03d}"] for k in range(1000)], np.uint8)


class ColourClassifier(nn.Module):
    """pixel_values [B, 3, H, W] of 0..1 -> logits [B, K]: how near the mean colour is to each class's."""

    def __init__(self, classes=range(1000)):
        super().__init__()
        self.register_buffer("colours", torch.tensor(COLOURS[list(classes)] / 255, dtype=torch.float32))
        self.seen = 0  # images

    def forward(self, pixel_values):
        self.seen += len(pixel_values)
        return -100 * torch.cdist(pixel_values.mean((2, 3)), self.colours) ** 2


def colour_classifier(classes=range(1000), labels=None) -> Classifier:
    classes = list(classes)
    return Classifier("colours", ColourClassifier(classes), labels or [wnids()[k] for k in classes], PLAIN)


def nearest(colour, classes) -> int:
    """The class of `classes` whose colour is nearest to `colour` [3], 0..255."""
    classes = list(classes)
    return classes[int(((COLOURS[classes].astype(float) - colour) ** 2).sum(1).argmin())]


def paint(path: Path, k: int, border: int = 0) -> None:
    """An image in the colour of class k, with a red border of `border` pixels around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (SIDE + 2 * border, SIDE + 2 * border), (255, 0, 0))
    image.paste(tuple(COLOURS[k].tolist()), (border, border, border + SIDE, border + SIDE))
    image.save(path, "png")


def score(benchmark: Benchmark, root: Path, classifier: Classifier | None = None) -> Scores:
    """The benchmark's numbers for `classifier`; checks what must hold for each of them."""
    assert benchmark.missing(root, partial=True) is None
    classifier = classifier or colour_classifier()
    answers = [predict(classifier, images, root / "cache", QUIET) for images in benchmark.image_sets(root)]
    scores = benchmark.score(answers)
    assert benchmark.statistic(scores.per_image, scores.groups) == scores.metrics[benchmark.primary]
    assert len(scores.ids) == len(scores.groups) == len(scores.targets) == len(scores.per_image)
    assert len(set(scores.ids)) == len(scores.ids)
    return scores


def pass_colours_on(model: nn.Module) -> None:
    """Make a ResNet of three channels hand the colours of each patch to its classifier."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            if "embedder" in name or "shortcut" in name:
                middle = module.kernel_size[0] // 2
                module.weight.data[range(3), range(3), middle, middle] = 1
        elif isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(1 - module.eps)


def save_checkpoint(folder: Path, flip: bool = False) -> None:
    """A ResNet as transformers saves it that answers like `ColourClassifier`, or with red and blue swapped.

    Its convolutions pass the three channels on; the classifier is the nearest colour: 2 c x - c^2.
    """
    config = ResNetConfig(
        embedding_size=3, hidden_sizes=[3], depths=[1], layer_type="basic", num_labels=1000,
        id2label=dict(enumerate(wnids())), label2id={wnid: k for k, wnid in enumerate(wnids())},
    )  # fmt: skip
    model = ResNetForImageClassification(config).eval()
    pass_colours_on(model)
    colours = torch.tensor(COLOURS / 255, dtype=torch.float32)
    colours = colours.flip(1) if flip else colours
    model.classifier[1].weight.data = 200 * colours
    model.classifier[1].bias.data = -100 * (colours**2).sum(1)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}, "resample": 2,'
        ' "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}'
    )
