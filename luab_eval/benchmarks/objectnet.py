"""ObjectNet: household objects from unusual viewpoints, on unusual backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from luab_eval.benchmark import Benchmark, ImageSet, Predictions, Scores, Verdicts
from luab_eval.image_sets.class_maps import objectnet_all_folders, objectnet_folders, wnids
from luab_eval.image_sets.folders import labeled_items, wrong_folders

# Width in pixels of the red border that marks each image as a test image. The authors' loader
# (github.com/abarbu/objectnet-template-pytorch) cuts off 2.
BORDER = 1


class ObjectNet(Benchmark):
    """Accuracy on the images of the 113 classes that ImageNet has too.

    `accuracy` is the authors' metric: the highest of the 1000 logits must belong to one of the object's
    ImageNet classes, and a class outside the 113 is wrong. `accuracy_113`, which some papers report, only
    uses the logits of the 113 classes. `top5_accuracy`: one of the five highest of 1000.
    """

    name = "objectnet"
    title = "ObjectNet"
    summary = "top-1 accuracy on the images of the 113 classes that ImageNet has, their red border cut off"
    paper = "Barbu et al., ObjectNet, NeurIPS 2019"
    download = "https://objectnet.dev (objectnet-1.0.zip)"
    layout = "objectnet-1.0/images/<class>/<image> (313 folders, 113 of which are read)"
    folders = ("objectnet-1.0/images", "objectnet/images", "objectnet-1.0", "objectnet")
    shows_verdicts = True

    def problem(self, folder: Path, partial: bool) -> str | None:
        return wrong_folders(folder, objectnet_folders(), partial, also=objectnet_all_folders())

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        # Several ImageNet classes may be right; the target is the first of them, the group is the folder.
        items = [
            item._replace(group=item.id.partition("/")[0])
            for item in labeled_items(folder, {name: right[0] for name, right in objectnet_folders().items()})
        ]
        yield ImageSet(self.name, items, border=BORDER, folder=folder)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        names, object_of = list(objectnet_folders()), self._object_of()
        truth = np.array([names.index(name) for name in answers.groups])
        best = object_of[answers.top]
        overlap = np.flatnonzero(object_of >= 0)
        right = (best[:, 0] == truth).astype(float)
        metrics = {
            "accuracy": float(right.mean()),
            "top5_accuracy": float((best == truth[:, None]).any(1).mean()),
            "accuracy_113": float((object_of[answers.answer_among(overlap.tolist())] == truth).mean()),
        }
        return Scores(metrics, answers.ids, answers.groups, truth, right, names)

    def verdicts(self, answers: Predictions) -> Verdicts:
        right = self.score([answers]).per_image.astype(bool)
        return Verdicts(right, answers.top[:, 0], answers.groups.tolist())

    @staticmethod
    def _object_of() -> np.ndarray:
        """`[1000]`: ImageNet class -> position of its object in `objectnet_folders`, -1: none."""
        object_of = np.full(len(wnids()), -1)
        for position, classes in enumerate(objectnet_folders().values()):
            object_of[classes] = position
        return object_of
