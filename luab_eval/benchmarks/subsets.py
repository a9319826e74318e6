"""ImageNet-A, -R and -O: only the logits of 200 of ImageNet's classes count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from luab_eval.benchmark import Benchmark, ImageSet, Item, Predictions, Scores, SumOf, Verdicts
from luab_eval.benchmarks.val import ValBenchmark
from luab_eval.image_sets.class_maps import subset, wnid_index, wnids
from luab_eval.image_sets.folders import labeled_items, wrong_folders
from luab_eval.metrics.aupr_out_of_distribution.aupr_out_of_distribution import (
    average_precision,
)

IN, OUT = "in", "out"  # groups of ImageNet-O


class SubsetBenchmark(Benchmark):
    """Top-1 accuracy over the 200 classes of the images; the other 800 logits are ignored."""

    letter: ClassVar[str]
    shows_verdicts = True

    def problem(self, folder: Path, partial: bool) -> str | None:
        return wrong_folders(folder, [wnids()[index] for index in subset(self.letter)], partial)

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        yield ImageSet(self.name, labeled_items(folder, wnid_index()), folder=folder)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        right = self.verdicts(answers).right.astype(float)
        metrics = {"accuracy": float(right.mean())}
        return Scores(metrics, answers.ids, answers.groups, answers.targets, right, answers.classes)

    def verdicts(self, answers: Predictions) -> Verdicts:
        classes = subset(self.letter)
        best = answers.answer_among(classes)
        truth = [answers.classes[k] for k in answers.targets]
        return Verdicts(best == answers.targets, best, truth, rivals=classes)


class ImageNetA(SubsetBenchmark):
    """ImageNet-A."""

    name = "imagenet_a"
    letter = "a"
    title = "ImageNet-A"
    summary = "top-1 accuracy among 200 classes on 7,500 photos that ResNet-50 gets wrong"
    paper = "Hendrycks et al., Natural Adversarial Examples, CVPR 2021, arXiv 1907.07174"
    download = "https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar"
    layout = "imagenet-a/<wnid>/<image> (200 folders)"
    folders = ("imagenet-a", "imagenet_a")
    images = 7_500


class ImageNetR(SubsetBenchmark):
    """ImageNet-R."""

    name = "imagenet_r"
    letter = "r"
    title = "ImageNet-R"
    summary = "top-1 accuracy among 200 classes on 30,000 renditions: art, toys, graffiti, ..."
    paper = "Hendrycks et al., The Many Faces of Robustness, ICCV 2021, arXiv 2006.16241"
    download = "https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar"
    layout = "imagenet-r/<wnid>/<image> (200 folders)"
    folders = ("imagenet-r", "imagenet_r")
    images = 30_000


class ImageNetO(ValBenchmark):
    """Tests whether images of unknown classes get less confidence than those of known classes.

    The score of an image is minus the highest probability, with a softmax over the 200 classes only.
    Positives are the images of ImageNet-O, which show none of ImageNet's classes. Negatives are the
    validation images of the 200 classes. The metric is the area under the precision-recall curve (average
    precision). Guessing gives 2,000 / 12,000.
    """

    name = "imagenet_o"
    title = "ImageNet-O"
    summary = "AUPR of telling 2,000 images of unknown classes from the validation images of 200 classes"
    paper = ImageNetA.paper
    download = "https://people.eecs.berkeley.edu/~hendrycks/imagenet-o.tar, and ImageNet's validation set"
    layout = "imagenet-o/<wnid>/<image> (200 folders), and imagenet/val as for the benchmark imagenet"
    folders_o: ClassVar[tuple[str, ...]] = ("imagenet-o", "imagenet_o")
    primary = "aupr"
    sum_of = SumOf.NOTHING
    images = 12_000

    def places(self, root: Path) -> list[Path]:
        folder = self.find_o(root)
        return [*([] if folder is None else [folder]), *super().places(root)]

    def absent(self, root: Path) -> bool:
        return self.find_o(root) is None or super().absent(root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        folder = self.find_o(root)
        if folder is None:
            return f"expected {self.layout}\n  found none of {', '.join(self.folders_o)} in {root}"
        problem = wrong_folders(folder, [wnids()[index] for index in subset("o")], partial)
        if problem:
            return f"expected {self.layout}\n  found {problem}\n  in {folder}"
        return super().missing(root, partial)

    def find_o(self, root: Path) -> Path | None:
        """The folder of ImageNet-O; `find` returns that of the validation images."""
        return next((root / name for name in self.folders_o if (root / name).is_dir()), None)

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.find_o(root)
        if folder is None:
            raise ValueError(f"{self.key}: {self.missing(root)}")
        strange = labeled_items(folder, wnid_index())
        # The folder names the class whose validation images it belongs to, not what the image shows.
        items = [Item(item.id, item.image, -1, OUT) for item in strange]
        yield ImageSet(self.name, items, folder=folder)
        yield self.val_set(root)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        strange, val = predictions
        classes = subset("o")
        known = val.where(np.isin(val.targets, classes))
        if not len(known.ids):
            raise ValueError("ImageNet-O needs validation images of its 200 classes, and found none")
        per_image = -np.concatenate([answers.confidence_among(classes) for answers in (strange, known)])
        groups = np.repeat([OUT, IN], [len(strange.ids), len(known.ids)])
        ids, targets = (
            np.concatenate(pair) for pair in ((strange.ids, known.ids), (strange.targets, known.targets))
        )
        return Scores({"aupr": self.statistic(per_image, groups)}, ids, groups, targets, per_image)

    @staticmethod
    def statistic(per_image: np.ndarray, groups: np.ndarray) -> float:
        return average_precision(per_image, groups == OUT)
