"""The Backgrounds Challenge: ImageNet-9 with foregrounds and backgrounds separated and mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from luab_data.console.names import few
from luab_data.images.files import class_folders
from luab_eval.benchmark import Benchmark, ImageSet, Item, Predictions, Scores, SumOf, Verdicts
from luab_eval.image_sets.class_maps import in9_names, in9_of_imagenet
from luab_eval.image_sets.folders import labeled_items, wrong_folders

SAME, RAND = "mixed_same", "mixed_rand"
VARIANTS = ("original", SAME, RAND, "mixed_next", "only_fg", "no_fg", "only_bg_b", "only_bg_t")
CLASSES = (
    "00_dog",
    "01_bird",
    "02_wheeled vehicle",
    "03_reptile",
    "04_carnivore",
    "05_insect",
    "06_musical instrument",
    "07_primate",
    "08_fish",
)


class Backgrounds(Benchmark):
    """BG-gap: accuracy with a background of the same class minus accuracy with one of a random class.

    The best of 1000 classes is mapped to ImageNet-9's; a class outside the 9 is wrong. The published images
    are 224 x 224 and evaluated without a crop.
    """

    name = "backgrounds"
    title = "Backgrounds Challenge (BG-gap)"
    summary = "IN-9: accuracy on mixed-same minus mixed-rand, and the accuracy on all variants"
    paper = "Xiao et al., Noise or Signal: The Role of Image Backgrounds in Object Recognition, ICLR 2021"
    download = "https://github.com/MadryLab/backgrounds_challenge/releases"
    layout = (
        f"bg_challenge/<variant>/val/<class>/<image>; the variants are {', '.join(VARIANTS)}, "
        f"the classes {CLASSES[0]} to {CLASSES[-1]}"
    )
    folders = ("bg_challenge", "backgrounds_challenge", "in9")
    primary = "bg_gap"
    sum_of = SumOf.GROUPS
    shows_verdicts = True
    higher_is_better = False
    bounds = (-1.0, 1.0)
    images = 2 * 4_050  # of the two variants of the figure

    def problem(self, folder: Path, partial: bool) -> str | None:
        needed = (SAME, RAND) if partial else VARIANTS
        if absent := [variant for variant in needed if not (folder / variant / "val").is_dir()]:
            hint = "" if partial else f" (with --partial, {SAME} and {RAND} are enough)"
            folders = few(class_folders(folder))
            return f"no {few([f'{variant}/val' for variant in absent])}; the folders are {folders}{hint}"
        for variant in self._present(folder):
            if problem := wrong_folders(folder / variant / "val", CLASSES, partial):
                return f"in {variant}/val {problem}"
        return None

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        items: list[Item] = []
        for variant in self._present(folder):
            targets = {name: index for index, name in enumerate(CLASSES)}
            items += labeled_items(folder / variant / "val", targets, variant, f"{variant}/")
        yield ImageSet(self.name, items, whole=True, folder=folder)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        right = self.verdicts(answers).right.astype(float)
        metrics = {"bg_gap": self.statistic(right, answers.groups)}
        metrics |= {
            name: float(right[answers.groups == name].mean()) for name in np.unique(answers.groups).tolist()
        }
        return Scores(metrics, answers.ids, answers.groups, answers.targets, right, in9_names())

    def verdicts(self, answers: Predictions) -> Verdicts:
        best, names = answers.top[:, 0], in9_names()
        return Verdicts(
            right=np.array(in9_of_imagenet())[best] == answers.targets,
            best=best,
            truth=[names[target] for target in answers.targets],
            among=answers.groups == RAND,
            note="mixed-rand",
        )

    @staticmethod
    def statistic(per_image: np.ndarray, groups: np.ndarray) -> float:
        return float(per_image[groups == SAME].mean() - per_image[groups == RAND].mean())

    @staticmethod
    def _present(folder: Path) -> list[str]:
        return [variant for variant in VARIANTS if (folder / variant / "val").is_dir()]
