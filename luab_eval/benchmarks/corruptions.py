"""ImageNet-C: 15 corruptions at 5 severities, from the published images.

We do not corrupt images on the fly: the authors ask for the published JPEGs, to keep results comparable, and
their package of corruptions needs NumPy 1.14 and OpenCV 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from luab_data.console.names import few
from luab_data.images.files import class_folders
from luab_eval.benchmark import Benchmark, ImageSet, Item, Predictions, Scores, SumOf
from luab_eval.image_sets.class_maps import wnid_index
from luab_eval.image_sets.folders import labeled_items, wrong_folders
from luab_eval.metrics.mean_corruption_error.mean_corruption_error import mean_corruption_error

KINDS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
CORRUPTIONS = [corruption for corruptions in KINDS.values() for corruption in corruptions]
SEVERITIES = (1, 2, 3, 4, 5)


class ImageNetC(Benchmark):
    """mCE: the error on each corruption, over its severities, relative to AlexNet's; then the mean.

    The published images are 224 x 224 and are evaluated without a central crop.
    """

    name = "imagenet_c"
    title = "ImageNet-C"
    summary = "mean corruption error (mCE) over 15 corruptions x 5 severities, relative to AlexNet's errors"
    paper = (
        "Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and "
        "Perturbations, ICLR 2019, arXiv 1903.12261"
    )
    download = "https://zenodo.org/record/2235448"
    layout = (
        "imagenet-c/<corruption>/<severity 1 to 5>/<wnid>/<image> (15 x 5 x 1000 folders; noise, blur, "
        "weather and digital may be folders above the corruptions)"
    )
    folders = ("imagenet-c", "imagenet_c", "ImageNet-C")
    primary = "mce"
    sum_of = SumOf.GROUPS
    higher_is_better = False
    bounds = (0.0, np.inf)
    images = 15 * 5 * 50_000

    def problem(self, folder: Path, partial: bool) -> str | None:
        places = {corruption: corruption_folder(folder, corruption) for corruption in CORRUPTIONS}
        absent = [corruption for corruption, place in places.items() if place is None]
        if absent and not (partial and len(absent) < len(CORRUPTIONS)):
            found = len(CORRUPTIONS) - len(absent)
            hint = " (--partial evaluates on what is there)" if found else ""
            folders = few(class_folders(folder))
            return f"{found} of 15 corruptions; no {few(absent)}; the folders are {folders}{hint}"
        for corruption, place in places.items():
            if place is None:
                continue
            for severity in SEVERITIES:
                if not (place / str(severity)).is_dir():
                    return f"no folder {corruption}/{severity}"
                if problem := wrong_folders(place / str(severity), wnid_index(), partial):
                    return f"in {corruption}/{severity} {problem}"
        return None

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        for corruption in CORRUPTIONS:
            if place := corruption_folder(folder, corruption):
                items: list[Item] = []
                for severity in SEVERITIES:
                    prefix = f"{corruption}/{severity}/"
                    items += labeled_items(place / str(severity), wnid_index(), prefix[:-1], prefix)
                name = f"{self.name}-{corruption}"
                yield ImageSet(name, items, whole=True, keep_logits=False, folder=folder)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        ids, groups, targets = (
            np.concatenate([getattr(answers, name) for answers in predictions])
            for name in ("ids", "groups", "targets")
        )
        wrong = 1 - np.concatenate([answers.right() for answers in predictions]).astype(float)
        errors = error_rates(wrong, groups)
        metrics = mean_corruption_error(errors)
        metrics |= {f"error_{corruption}": float(np.mean(rates)) for corruption, rates in errors.items()}
        return Scores(metrics, ids, groups, targets, wrong)

    @staticmethod
    def statistic(per_image: np.ndarray, groups: np.ndarray) -> float:
        return mean_corruption_error(error_rates(per_image, groups))["mce"]


def corruption_folder(folder: Path, corruption: str) -> Path | None:
    """The folder of a corruption's severities: `<corruption>` or `<kind>/<corruption>`."""
    kind = next(kind for kind, corruptions in KINDS.items() if corruption in corruptions)
    return next((path for path in (folder / corruption, folder / kind / corruption) if path.is_dir()), None)


def error_rates(wrong: np.ndarray, groups: np.ndarray) -> dict[str, list[float]]:
    """`wrong` `[N]` 0 or 1 and `groups` `[N]` "<corruption>/<severity>" -> error rates of each corruption."""
    names, position = np.unique(groups, return_inverse=True)
    rates = np.bincount(position, wrong) / np.bincount(position)
    errors: dict[str, list[float]] = {}
    for name, rate in zip(names, rates, strict=True):
        errors.setdefault(name.partition("/")[0], []).append(float(rate))
    return errors
