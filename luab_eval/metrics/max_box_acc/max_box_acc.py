"""MaxBoxAcc and MaxBoxAccV2: how well boxes around high scores match true boxes (Choe et al., CVPR 2020).

The results equal those of the authors' code (github.com/clovaai/wsolevaluation, `BoxEvaluator`), bit for bit,
but without OpenCV. For each threshold t:

1. the map is resized to 224x224 (bicubic), min-max normalized, reduced to 8 bits, and binarized at
   `> int(t * maximum)`;
2. its contours are the outer borders of its 8-connected components and the borders of their holes; each gives
   the box x, y, min(x + width, 223), min(y + height, 223);
3. V1 takes the contour with the largest area, V2 all contours; an empty mask gives the box 0, 0, 0, 0;
4. an image is right if the best pair of these boxes and the true ones, in whole pixels of the 224x224 map,
   reaches the required IoU (a box from 3 to 5 is 3 pixels wide).

The accuracy at the best of all thresholds is the metric.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

# `evaluate.load` copies only the modules that this file imports, not those that they import in turn.
from .bicubic import resized
from .compiled import compiled as compiled
from .components import COMPONENT as COMPONENT
from .contours import LEVELS, contour_boxes
from .iou import highest_iou, iou
from .pixels import FRAME as FRAME

_DESCRIPTION = """\
MaxBoxAcc: share of images whose box (around the largest component of the score map, at the best threshold)
reaches IoU 0.5 with a true box. MaxBoxAccV2: boxes around all components, mean over IoU 0.3, 0.5 and 0.7,
each with its best threshold.
"""
_CITATION = """\
@inproceedings{choe2020evaluating,
  title     = {Evaluating Weakly Supervised Object Localization Methods Right},
  author    = {Choe, Junsuk and Oh, Seong Joon and Lee, Seungho and Chun, Sanghyuk and Akata, Zeynep
               and Shim, Hyunjung},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2020}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: one score map `[h, w]` for each image, of any size and range; it covers the whole image.
    references: one `{"boxes": [[x0, y0, x1, y1], ...], "width": int, "height": int}` for each image, pixels.
    interval: distance of the thresholds, which go from 0 to below 1. Default 0.001, as the authors'.
    normalize: whether to min-max normalize the maps. If not, they must be within 0 and 1.
Returns:
    `max_box_acc`, `max_box_acc_v2` and its parts `max_box_acc_v2_iou_30`, `_50`, `_70`: shares of the images;
    `max_box_acc_threshold`: the threshold at which `max_box_acc` is reached.
"""

SIZE = 224  # side of the map on which boxes are compared, pixels
IOUS = (0.3, 0.5, 0.7)


class BoxAccuracy:
    """Both metrics, computed image by image: 500 bytes of memory per image."""

    def __init__(self, interval: float = 0.001, size: int = SIZE):
        self.thresholds = np.arange(0, 1, interval)
        self.size = size
        self._hits: list[np.ndarray] = []  # of each image, as `hits_of` gives it

    def add(self, hits: np.ndarray) -> None:
        """One image, as `hits_of` gave it: here, in another process, or earlier."""
        self._hits.append(hits)

    def hits_of(
        self,
        scores: np.ndarray,
        boxes: Sequence[Sequence[float]],
        width: float,
        height: float,
        normalize: bool = True,
    ) -> np.ndarray:
        """The hits of one image, packed.

        Args:
            scores: [h, w], over the whole image.
            boxes: [[x0, y0, x1, y1]], first and last pixels.
            width: Pixels of the image.
            height: Pixels of the image.
            normalize: min-max normalize the map.

        Returns:
            [4, thresholds / 8] uint8: bits of [V1 at IoU 0.5, V2 at each of `IOUS`] x thresholds.

        Raises:
            ValueError: a map that is not 2-D or not within 0..1 (infinite, or not normalized); no boxes, or
                reversed ones.
        """
        scores = np.array(scores, np.float64, order="C")  # and writable: of one type for numba
        if np.isinf(scores).any() or not (normalize or ((scores >= 0) & (scores <= 1)).all()):
            raise ValueError(
                f"a score map has values from {scores.min()} to {scores.max()}, but they must be finite and, "
                "with normalize=False, within 0 and 1."
            )
        scores = resized(scores, self.size)
        # Bicubic interpolation overshoots slightly: clip it if the map is not normalized.
        scores = min_max(scores) if normalize else scores.clip(0, 1)
        real = _boxes_on_map(boxes, width, height, self.size)
        largest, best = _ious_at(scores, real, self.thresholds)
        return np.packbits([largest >= 0.5, *(best >= iou for iou in IOUS)], axis=1)

    def hits(self) -> np.ndarray:
        """[4, N] bool: whether each image is right by V1, and by V2 at each of `IOUS` (best thresholds)."""
        counts = self._counts()
        columns = [
            [bool(hit[row, column // 8] >> (7 - column % 8) & 1) for hit in self._hits]
            for row, column in enumerate(counts.argmax(axis=1))
        ]
        return np.array(columns)

    def compute(self) -> dict[str, float]:
        """The metrics, as shares of the images added so far (the authors print percent)."""
        counts = self._counts()
        shares = (counts / len(self._hits)).max(axis=1).tolist()
        return {
            "max_box_acc": shares[0],
            "max_box_acc_v2": float(np.mean(shares[1:])),
            **{
                f"max_box_acc_v2_iou_{100 * iou:.0f}": share
                for iou, share in zip(IOUS, shares[1:], strict=True)
            },
            "max_box_acc_threshold": float(self.thresholds[counts[0].argmax()]),
        }

    def _counts(self) -> np.ndarray:
        """[4, thresholds]: right images."""
        if not self._hits:
            raise ValueError("no image was added, so there is no accuracy.")
        number = len(self.thresholds)
        total = np.zeros((1 + len(IOUS), number), np.int64)
        for hit in self._hits:
            total += np.unpackbits(hit, axis=1, count=number)
        return total


def min_max(scores: np.ndarray) -> np.ndarray:
    """`scores` scaled to 0..1; all 0 when they are constant or one is NaN (the authors' rule)."""
    low, high = scores.min(), scores.max()
    if not low < high:  # NaN is not
        return np.zeros_like(scores)
    scores = scores - low
    scores /= high - low
    return scores


def _ious_at(scores: np.ndarray, real: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best IoU with the `real` boxes at each threshold [T]: for the largest contour, and for all."""
    image = (scores * 255).astype(np.uint8)
    low, high, boxes, largest = contour_boxes(image)
    limit = np.array([*image.shape[::-1], image.shape[1] - 1, image.shape[0] - 1], boxes.dtype)
    for each in (largest, boxes):
        np.minimum(each, limit, out=each)
    largest = iou(largest, real).max(axis=1)
    best = highest_iou(boxes, low, high, real, LEVELS)
    best = np.maximum(best, largest)  # an empty mask has no contour, but the one box of V1
    level_of = (thresholds * float(image.max())).astype(int)
    return largest[level_of], best[level_of]


def _boxes_on_map(boxes: Sequence[Sequence[float]], width: float, height: float, size: int) -> np.ndarray:
    """Boxes in pixels of the image -> [n, 4] whole pixels of the map, cut off as the authors do."""
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4 or not len(array):
        raise ValueError(
            f"boxes are {boxes!r}, but an image needs at least one, [[x0, y0, x1, y1], ...] in pixels."
        )
    if not (np.isfinite(array).all() and (array >= 0).all() and (array[:, 2:] >= array[:, :2]).all()):
        raise ValueError(
            f"boxes are {boxes!r}, but they must be x0, y0, x1, y1 with 0 <= x0 <= x1 and 0 <= y0 <= y1."
        )
    return (array * size / np.array([width, height, width, height], np.float64)).astype(int)


class MaxBoxAcc(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        box = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Sequence(datasets.Value("float64"))),
                    "references": {
                        "boxes": datasets.Sequence(box),
                        "width": datasets.Value("int64"),
                        "height": datasets.Value("int64"),
                    },
                }
            ),
            reference_urls=["https://arxiv.org/abs/2001.07437", "https://github.com/clovaai/wsolevaluation"],
        )

    def _compute(
        self, predictions: Any, references: Any, interval: float = 0.001, normalize: bool = True
    ) -> dict[str, float]:
        accuracy = BoxAccuracy(interval)
        for scores, real in zip(predictions, references, strict=True):
            accuracy.add(accuracy.hits_of(scores, real["boxes"], real["width"], real["height"], normalize))
        return accuracy.compute()
