"""ImageNet's validation set with ReaL and center occlusion; ImageNet-V2 and -Sketch.

The validation images are read once for ImageNet, ReaL and ImageNet-O, which use the same image set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from luab_eval.benchmark import ImageSet, Predictions, Scores, Verdicts
from luab_eval.benchmarks.val import ValBenchmark, ValOrOwn, val_number
from luab_eval.image_sets.class_maps import first_name, real_labels, wnid_index, wnids
from luab_eval.image_sets.folders import Folder, Top1, labeled_items, own_name, wrong_folders
from luab_eval.image_sets.own_datasets import EXPECTED, OwnDataset


class ImageNet(Top1, ValBenchmark):
    """ImageNet's validation set."""

    name = "imagenet"
    title = "ImageNet"
    summary = "top-1 accuracy on the 50,000 validation images"
    paper = (
        "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015, arXiv 1409.0575"
    )

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        yield self.val_set(root)


class ReaL(ValBenchmark):
    """Any class that the raters saw is right; images without such a class do not count."""

    name = "real"
    title = "ImageNet-ReaL"
    summary = "accuracy on the validation images with reassessed labels; those without a label do not count"
    paper = "Beyer et al., Are we done with ImageNet?, 2020, arXiv 2006.07159"
    shows_verdicts = True
    images = 46_837

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        val = self.val_set(root)
        for item in val.items:
            val_number(item.id)  # finds errors before the pass over the images
        yield val

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        verdicts = self.verdicts(answers)
        if verdicts.among is None or not verdicts.among.any():
            raise ValueError("none of the validation images has a label in ReaL")
        kept, right = answers.where(verdicts.among), verdicts.right[verdicts.among].astype(float)
        return Scores(
            {"accuracy": float(right.mean())}, kept.ids, kept.groups, kept.targets, right, kept.classes
        )

    def verdicts(self, answers: Predictions) -> Verdicts:
        names = [name.decode(errors="replace") for name in answers.ids.tolist()]
        labels = [real_labels()[val_number(name) - 1] for name in names]
        best = answers.top[:, 0]
        right = np.array([answer in classes for answer, classes in zip(best, labels, strict=True)])
        truth = [" or ".join(first_name(answers.classes[k]) for k in sorted(classes)) for classes in labels]
        return Verdicts(right, best, truth, among=np.array([bool(classes) for classes in labels]))


class Occlusion(Top1, ValOrOwn):
    """A square of the mean color hides the center of the model's input.

    The paper reports center occlusion but does not state the size. The default is half of the crop's side, a
    quarter of its area (112 of 224 pixels). CutMix (Yun et al., ICCV 2019, section 4.3) also fills the hole
    with 0 after normalization.
    """

    name = "occlusion"
    title = "Center occlusion"
    summary = "top-1 accuracy on the validation images with a square of the mean color over the middle"
    paper = "Yun et al., CutMix, ICCV 2019, arXiv 1905.04899 (occlusion of the center)"
    argument_help = "SIDE, NAME=PATH, NAME=DATASET@SPLIT, or one of these with @SIDE behind it"
    default_side: ClassVar[float] = 0.5

    def __init__(self, argument: str = "", val: str | None = None):
        super().__init__(argument, val)
        own, side = _own_and_side(argument)
        try:
            self.side = float(side or self.default_side)
            if own:
                self.use(OwnDataset(*own_name(self.name, own, EXPECTED)) if "@" in own else Folder(own))
        except ValueError:
            self.side = -1.0
        if not 0 <= self.side <= 1:
            raise ValueError(
                f"benchmark 'occlusion' takes {self.argument_help}: SIDE is that of the square as a ratio of "
                f"the crop's, 0 to 1 ({self.default_side} when not given), PATH a folder <class>/<image> "
                f"and DATASET a dataset instead of ImageNet's; got {argument!r}"
            )

    @property
    def label(self) -> str:
        side = "" if self.side == self.default_side else f"{self.side:g}"
        return "@".join(filter(None, (self.own.own_name if self.own else "", side)))

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        images = self.image_set(root)
        yield replace(images, name=f"{images.name}-occlusion-{self.side:g}", occlusion=self.side)


def _own_and_side(argument: str) -> tuple[str, str]:
    """`NAME=PATH`, `NAME=DATASET@SPLIT`, each with `@SIDE` or not, or `SIDE` -> the images, SIDE."""
    if "=" not in argument:
        return "", argument
    own, at, side = argument.rpartition("@")
    is_number = side.replace(".", "", 1).lstrip("+-").isdigit()
    return (own, side) if at and is_number else (argument, "")


class ImageNetV2(Top1):
    """New test images, sampled like ImageNet's. The folders are class numbers: 10 comes after 2."""

    name = "imagenet_v2"
    title = "ImageNet-V2"
    summary = "top-1 accuracy on 10,000 new images, sampled to match ImageNet's (matched frequency)"
    paper = "Recht et al., Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019, arXiv 1902.10811"
    download = "https://huggingface.co/datasets/vaishaal/ImageNetV2"
    layout = "imagenetv2-matched-frequency-format-val/<class number 0 to 999>/<image>"
    folders: ClassVar[tuple[str, ...]] = (
        "imagenetv2-matched-frequency-format-val",
        "imagenetv2-matched-frequency",
    )
    images = 10_000

    def problem(self, folder: Path, partial: bool) -> str | None:
        return wrong_folders(folder, [str(index) for index in range(len(wnids()))], partial)

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        targets = {str(index): index for index in range(len(wnids()))}
        folder = self.folder(root)
        yield ImageSet(self.name, labeled_items(folder, targets), folder=folder)


class ImageNetV2Threshold(ImageNetV2):
    """ImageNet-V2, the variant `threshold0.7`."""

    name = "imagenet_v2_threshold"
    title = "ImageNet-V2 (threshold 0.7)"
    summary = "the variant of images that at least 70 % of the annotators selected"
    layout = "imagenetv2-threshold0.7-format-val/<class number 0 to 999>/<image>"
    folders = ("imagenetv2-threshold0.7-format-val", "imagenetv2-threshold0.7")


class ImageNetV2Top(ImageNetV2):
    """ImageNet-V2, the variant `top-images`."""

    name = "imagenet_v2_top"
    title = "ImageNet-V2 (top images)"
    summary = "the variant of the images that most annotators selected"
    layout = "imagenetv2-top-images-format-val/<class number 0 to 999>/<image>"
    folders = ("imagenetv2-top-images-format-val", "imagenetv2-top-images", "imagenetv2-topimages")


class Sketch(Top1):
    """ImageNet-Sketch."""

    name = "imagenet_sketch"
    title = "ImageNet-Sketch"
    summary = "top-1 accuracy on 50,889 sketches of the 1000 classes"
    images = 50_889
    paper = (
        "Wang et al., Learning Robust Global Representations by Penalizing Local Predictive Power, "
        "NeurIPS 2019, arXiv 1905.13549"
    )
    download = "https://github.com/HaohanWang/ImageNet-Sketch"
    layout = "sketch/<wnid>/<image> (1000 folders)"
    folders = ("sketch", "imagenet-sketch", "imagenet_sketch", "imagenet-sketch/sketch", "ImageNet-Sketch")

    def problem(self, folder: Path, partial: bool) -> str | None:
        return wrong_folders(folder, wnid_index(), partial)

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        yield ImageSet(self.name, labeled_items(folder, wnid_index()), folder=folder)
