"""Three benchmarks of where the model looks, using the object's boxes and one pass over the images."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from luab_attention.boxes.ilsvrc import find_xml, read_box_file, xml_files
from luab_data.console.names import few
from luab_eval.arrays import hash_of
from luab_eval.benchmark import ImageSet, Predictions, Scores, Verdicts
from luab_eval.benchmarks.val import NUMBER, ValBenchmark, ValOrOwn
from luab_eval.by_image import by_image
from luab_eval.image_sets.boxes import BoxDataset, BoxFolder, box_dataset
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.folders import own_name
from luab_eval.image_sets.own_datasets import EXPECTED
from luab_eval.localization import LocalizationScores


class BoxBenchmark(ValOrOwn):
    """Reads ImageNet's validation images with their official boxes, or the argument's images.

    Models without known attention are skipped in a suite.

    Args:
        argument: See `argument_help`.
        val: See `Benchmark`.
        own: The images, instead of an argument.
    """

    download = f"{ValBenchmark.download}; the boxes: ILSVRC2012_bbox_val_v3.tgz from image-net.org"
    layout = f"{ValBenchmark.layout}; and imagenet/ILSVRC2012_bbox_val_v3/**/ILSVRC2012_val_<number>.xml"
    box_folders = (
        "imagenet/ILSVRC2012_bbox_val_v3",
        "ILSVRC2012_bbox_val_v3",
        "imagenet/bbox",
        "ILSVRC/Annotations/CLS-LOC/val",
    )
    argument_help = f"{BoxFolder.expected} or {EXPECTED}"

    def __init__(self, argument: str = "", val: str | None = None, own: BoxFolder | BoxDataset | None = None):
        super().__init__(argument if own is None else own.argument, val)
        if argument or own is not None:
            self.use(own_boxes(self.name, argument) if own is None else own)
        self._images: dict[Path, ImageSet] = {}  # per ROOT: many small files, read once for all models

    def find_boxes(self, root: Path) -> Path | None:
        """The folder of the official XML files."""
        return next((root / name for name in self.box_folders if (root / name).is_dir()), None)

    def places(self, root: Path) -> list[Path]:
        boxes = self.find_boxes(root)
        return [*super().places(root), *([] if boxes is None else [boxes])]

    def absent(self, root: Path) -> bool:
        return super().absent(root) or (self.own is None and self.find_boxes(root) is None)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        problem = super().missing(root, partial)
        if problem or self.own:
            return problem
        folder = self.find_boxes(root)
        if folder is None:
            return f"expected {self.layout}\n  found none of {', '.join(self.box_folders)} in {root}"
        try:
            files = xml_files(folder)
        except ValueError as error:
            return f"expected {self.layout}\n  found {error}"
        if self.find(root) is None or partial:  # on the Hub: checked when it is read
            return None
        without = [item.id for item in self.val_set(root).items if _stem(item.id) not in files]
        if not without:
            return None
        return (
            f"expected {self.layout}\n  found no XML file for {len(without):,} images, such as "
            f"{few(without)}\n  in {folder} (--partial evaluates on those that have one)"
        )

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        if root not in self._images:
            self._images[root] = self.image_set(root) if self.own else self._official(root)
        self._asked = self._images[root]
        yield self._asked

    def _official(self, root: Path) -> ImageSet:
        images = self.val_set(root)
        folder = self.find_boxes(root)
        files = {} if folder is None else xml_files(folder)
        found = []
        for item in images.items:
            if (path := find_xml(files, _stem(item.id))) is not None:
                of_class = read_box_file(path).boxes_of(wnids()[item.target])
                if of_class.bbox:
                    found.append((item, of_class))
        if not found:
            raise ValueError(f"no validation image has a box of its class in {folder}")
        items, boxes = zip(*found, strict=True)
        return replace(images, name="imagenet_val-boxes", items=items, boxes=boxes, keep_logits=False)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        localization = scores_of(answers)
        boxes = np.array([hash_of(repr(each).encode()) for each in self._asked.boxes or ()], np.int64)
        pairs = Scores(
            self.metrics(localization),
            answers.ids,
            answers.groups,
            answers.targets,
            localization.per_image(self.primary),
            answers.classes,
            boxes,
        )
        # A mean over images is summed in another order than the metric, so the last bits differ.
        pairs.metrics[self.primary] = self.statistic(pairs.per_image, pairs.groups)
        # Official images have one class each.
        return by_image(pairs, answers.pixels, self) if self.own_images else pairs

    @abstractmethod
    def metrics(self, localization: LocalizationScores) -> dict[str, float]:
        """The benchmark's metrics, the primary one first."""


class Localization(BoxBenchmark):
    """Boxes cut from the model's maps, at the best thresholds over all images.

    Resamples of the images (intervals, comparisons) use the same thresholds.
    """

    name = "localization"
    title = "Localization"
    summary = "boxes cut from the model's map of the true class: share with IoU 0.3, 0.5, 0.7 to a real one"
    paper = (
        "Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020, "
        "arXiv 2001.07437"
    )
    primary = "max_box_acc_v2"

    def metrics(self, localization: LocalizationScores) -> dict[str, float]:
        return localization.box_metrics()


class PointingGameBenchmark(BoxBenchmark):
    """The pointing game on ImageNet's boxes, or your own."""

    name = "pointing_game"
    title = "Pointing game"
    summary = "share of images where the model's attention is highest in a box of the object"
    paper = (
        "Zhang et al., Top-Down Neural Attention by Excitation Backprop, IJCV 2018, arXiv 1608.00507 "
        "(here without its tolerance of 15 pixels)"
    )
    primary = "pointing_game"
    shows_verdicts = True

    def metrics(self, localization: LocalizationScores) -> dict[str, float]:
        return localization.pointing_metrics()

    def verdicts(self, answers: Predictions) -> Verdicts:
        right = scores_of(answers).per_image(self.primary).astype(bool)
        truth = [answers.classes[k] for k in answers.targets]
        words = ("in a box", "beside the boxes")
        images = answers.pixels if self.own_images else None
        return Verdicts(right, answers.top[:, 0], truth, mapped=answers.targets, words=words, images=images)


class EnergyPointingGameBenchmark(BoxBenchmark):
    """The energy pointing game on ImageNet's boxes, or your own."""

    name = "energy_pointing_game"
    title = "Energy pointing game"
    summary = "share of the model's attention that lies in the object's boxes"
    paper = "Wang et al., Score-CAM, CVPR Workshops 2020, arXiv 1910.01279"
    primary = "energy_pointing_game"

    def metrics(self, localization: LocalizationScores) -> dict[str, float]:
        return localization.energy_metrics()


def scores_of(answers: Predictions) -> LocalizationScores:
    """The results of predictions on an image set with boxes.

    Raises:
        ValueError: the set has no boxes, so that the predictions do not say where the model looks.
    """
    if answers.looks is None:
        raise ValueError("these predictions do not say where the model looks: their image set has no boxes")
    return LocalizationScores(answers.looks, answers.targets)


def own_boxes(benchmark: str, argument: str) -> BoxFolder | BoxDataset:
    """`NAME=IMAGES:BOXES` or `NAME=DATASET@SPLIT` -> images with boxes.

    Raises:
        ValueError: another form.
    """
    name, rest = own_name(benchmark, argument, BoxBenchmark.argument_help)
    if "@" in rest:
        with suppress(ValueError):
            return box_dataset(name, rest)
    images, separator, boxes = rest.partition(os.pathsep)
    if "@" in rest or not (images and separator and boxes):
        raise ValueError(
            f"benchmark {benchmark!r} is written {benchmark}:{BoxBenchmark.argument_help}; got {argument!r}"
        )
    return BoxFolder(name, images, boxes)


def _stem(item_id: str) -> str:
    """A validation image's id -> the name of its XML: ILSVRC2012_val_00000001."""
    found = NUMBER.search(item_id)
    return found[0] if found else Path(item_id).stem
