"""Compares where a classifier looks with the object's boxes: maps -> MaxBoxAcc and the two pointing games.

    image set with boxes --(LocalizationTask, in `predict`)--> looks [N] --(LocalizationScores)--> metrics

The whole image is resized to the model's input, ignoring its aspect ratio, as in Choe et al. (CVPR 2020), so
that a map covers the whole image. The map is that of the true class ("ground-truth-known"): accuracy does not
matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from luab_attention.boxes.boxes import ImageBoxes, inside
from luab_data.console.bars import progress
from luab_eval.benchmark import ImageSet
from luab_eval.metrics.energy_pointing_game.energy_pointing_game import energy_inside
from luab_eval.models import Classifier, NotFinite
from luab_eval.pointing import maxima
from luab_eval.tasks import UnsuitedModel, best
from luab_vision.activation_map import ActivationMap
from luab_vision.cls_attention import CLSAttention
from luab_vision.model_attention import spatial_attention
from luab_vision.readout import NoReadout

if TYPE_CHECKING:
    from luab_eval.metrics.max_box_acc.max_box_acc import BoxAccuracy

UNIFORM = np.ones((1, 1))  # the uniform map, a baseline
HITS = "hits"  # what `BoxAccuracy.hits_of` gives
MAP = "map"  # what `MapTask` keeps
VALUES = ("pointing_game", "pointing_game_center", "energy_pointing_game", "energy_pointing_game_uniform")
MAPS_AT_ONCE = 16  # maps


class Maps(NamedTuple):
    """The maps of a batch of images, for one class of each.

    Attributes:
        scores: [B, h, w] on the model's grid, to cut boxes from: class-activation map or CLS attention.
        attention: [B, h, w], distributions: the softmax of the class-activation map, or the CLS attention.
        points: [B, 2], x and y, ratios of the image: where `attention`, upsampled bilinearly, is highest.
    """

    scores: Tensor
    attention: Tensor
    points: Tensor


def attention_of(model: torch.nn.Module) -> ActivationMap | CLSAttention:
    """The model's attention. Raises UnsuitedModel for a model without known attention."""
    try:
        return spatial_attention(model)
    except NoReadout as error:
        raise UnsuitedModel(f"it is not known where {type(model).__name__} looks: {error.why}") from error


def maps_after(
    model: torch.nn.Module, attention: ActivationMap | CLSAttention, size: tuple[int, int], classes: Tensor
) -> Maps:
    """The maps of `classes` [B], after a watched forward pass on images of `size`.

    Raises:
        NotFinite: NaN or infinity.
    """
    classes = classes[:, None]
    if isinstance(attention, ActivationMap):
        scores = attention.activation_maps(model, size, classes)[:, 0].float()
        spread = scores.flatten(1).softmax(dim=1).view_as(scores)
    else:
        scores = spread = attention.maps(model, size, classes)[:, 0].mean(dim=1)  # over the layers
    finite = (torch.isfinite(scores) & torch.isfinite(spread)).flatten(1).all(dim=1)
    if not finite.all():
        raise NotFinite(finite.logical_not().nonzero()[:, 0].tolist(), "attention maps")
    upsampled = F.interpolate(spread[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return Maps(scores, spread, maxima(upsampled))


class LocalizationTask:
    """A `PredictionTask`: where the model looks for each image's own class.

    Keeps `top` (see `ClassificationTask`), and `HITS` and `VALUES` of each image: 600 bytes.

    Args:
        outputs: The model's output for each class of the set.
        num_workers: Processes that evaluate maps; 0: this one. (A map takes 1 to 2 ms; see
            docs/performance.md.)
    """

    kept: ClassVar[tuple[str, ...]] = (HITS, *VALUES)

    def __init__(
        self,
        classifier: Classifier,
        outputs: Sequence[int],
        images: ImageSet,
        num_workers: int = 0,
        progress: bool = False,
    ):
        if images.boxes is None:
            raise ValueError(f"image set {images.name} has no boxes")
        self.model, self.boxes = classifier.model, images.boxes
        self.attention = attention_of(self.model)
        if classifier.compiled is not None:
            torch.compiler.reset()  # what was compiled before the attention's hooks were there has none
        self.classifier, self.outputs, self.images = classifier, list(outputs), images
        self.num_workers, self.progress = num_workers, progress

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The best classes, then the attention maps, of images [B, 3, H, W] at these positions."""
        targets = [self.outputs[self.images.items[position].target] for position in positions]
        self.attention.watch(self.model)
        logits = self.classifier.logits(pixel_values)[:, self.outputs]
        classes = torch.tensor(targets, device=pixel_values.device)
        height, width = pixel_values.shape[-2:]
        return best(logits), *maps_after(self.model, self.attention, (height, width), classes)

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Evaluates the maps on the images' boxes, and keeps only the hits."""
        top, *maps = answers
        evaluated = _ScoredMaps(maps, [self.boxes[position] for position in positions])
        batches = DataLoader(
            evaluated,
            batch_size=MAPS_AT_ONCE,
            num_workers=min(self.num_workers, (len(evaluated) - 1) // MAPS_AT_ONCE),
        )
        columns: dict[str, list[np.ndarray]] = {name: [] for name in self.kept}
        with progress(
            len(evaluated), "boxes of the maps", "img", leave=False, disable=not self.progress
        ) as bar:
            for batch in batches:
                bar.update(len(batch[HITS]))
                for name, values in batch.items():
                    columns[name].append(values.numpy())
        return {"top": top} | {name: np.concatenate(parts) for name, parts in columns.items()}


class MapTask:
    """A `PredictionTask`: the model's map of each image's own class, or of the class that it predicts.

    Keeps `top` (see `ClassificationTask`) and `MAP`: `[n, h, w]` distributions on the model's grid.

    Args:
        outputs: The model's output for each class of the set; items with the target -1 have none.
    """

    kept: ClassVar[tuple[str, ...]] = (MAP,)

    def __init__(self, classifier: Classifier, outputs: Sequence[int], images: ImageSet):
        self.attention = attention_of(classifier.model)
        if classifier.compiled is not None:
            torch.compiler.reset()  # what was compiled before the attention's hooks were there has none
        self.classifier, self.outputs, self.images = classifier, list(outputs), images

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The best classes, then the maps, of images [B, 3, H, W] at these positions."""
        self.attention.watch(self.classifier.model)
        logits = self.classifier.logits(pixel_values)[:, self.outputs]
        classes = logits.argmax(dim=1)
        for row, position in enumerate(positions):
            if (target := self.images.items[position].target) >= 0:
                classes[row] = target
        outputs = torch.tensor(self.outputs, device=pixel_values.device)[classes]
        height, width = pixel_values.shape[-2:]
        maps = maps_after(self.classifier.model, self.attention, (height, width), outputs)
        return best(logits), maps.attention.float()

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Keeps both."""
        top, maps = answers
        return {"top": top, MAP: maps}


class _ScoredMaps(Dataset[dict[str, Any]]):
    """`HITS` and `VALUES` of map `i` and its boxes."""

    def __init__(self, maps: Sequence[np.ndarray], boxes: Sequence[ImageBoxes]):
        self.scores, self.attention, self.points = (array.astype(np.float64) for array in maps)
        self.boxes = boxes
        self.accuracy = box_accuracy()

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        boxes, width, height = self.boxes[index]
        points = np.array([self.points[index] * (width, height), (width / 2, height / 2)])
        hit, center_hit = inside(points, np.array(boxes))
        corners = [_corners(box) for box in boxes]
        values = (
            hit,
            center_hit,
            energy_inside(self.attention[index], boxes, width, height),
            energy_inside(UNIFORM, boxes, width, height),
        )
        hits = self.accuracy.hits_of(self.scores[index], corners, width, height)
        return {HITS: hits} | dict(zip(VALUES, map(float, values), strict=True))


def box_accuracy() -> BoxAccuracy:
    """A new `BoxAccuracy`. Imports numba, which is slow, only when maps are evaluated."""
    from luab_eval.metrics.max_box_acc.max_box_acc import BoxAccuracy

    return BoxAccuracy()


class LocalizationScores:
    """The results of N images and one class of each.

    Args:
        looks: The arrays that `LocalizationTask` kept.
        targets: [N], the classes.
    """

    def __init__(self, looks: Mapping[str, np.ndarray], targets: np.ndarray):
        self.looks, self.targets = looks, targets
        self.boxes = box_accuracy()
        for hits in looks[HITS]:
            self.boxes.add(hits)

    def per_image(self, metric: str) -> np.ndarray:
        """[N] float, whose mean is `metric` (for boxes: at the best thresholds over all images)."""
        if metric in VALUES:
            return self.looks[metric]
        hits = self.boxes.hits().astype(float)
        return {"max_box_acc": hits[0], "max_box_acc_v2": hits[1:].mean(axis=0)}[metric]

    def box_metrics(self) -> dict[str, float]:
        """See `BoxAccuracy.compute`."""
        return self.boxes.compute()

    def pointing_metrics(self) -> dict[str, float]:
        """The pointing game's metrics, each a rate.

        pointing_game: share of maxima in a box; pointing_game_class_mean: the mean of the classes' shares;
        pointing_game_center: the baseline of always pointing at the center.
        """
        found = self.looks["pointing_game"]
        by_class = [found[self.targets == target].mean() for target in np.unique(self.targets)]
        return {**self._means(*VALUES[:2]), "pointing_game_class_mean": float(np.mean(by_class))}

    def energy_metrics(self) -> dict[str, float]:
        """The energy pointing game's metrics, each a rate.

        energy_pointing_game: share of the attention's mass inside the boxes; energy_pointing_game_uniform:
        the baseline of uniform attention.
        """
        return self._means(*VALUES[2:])

    def _means(self, *names: str) -> dict[str, float]:
        return {name: float(self.looks[name].mean()) for name in names}


def _corners(box: Sequence[float]) -> list[float]:
    """x, y, w, h -> x0, y0, x1, y1, the first and last pixels, as in official box files."""
    x, y, width, height = box
    x, y = max(x, 0), max(y, 0)
    return [x, y, max(box[0] + width - 1, x), max(box[1] + height - 1, y)]
