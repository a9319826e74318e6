"""Where a classifier looks, against where the object is: score maps -> MaxBoxAcc and the two pointing games.

    rows (image, label, objects) --(score_maps)--> ScoreMap --(Localisation)--> metrics, values of each image

The whole image is squeezed into the model's input, as Choe et al. (CVPR 2020) do, so that a map covers all of
it. It is that of the true class ("ground-truth-known"): how well the model classifies plays no part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from luab_data.constants import IMAGE_ID, OBJECTS
from luab_trainer.attention import ActivationMap, CLSAttention, spatial_attention
from luab_trainer.evaluation.metrics.energy_pointing_game.energy_pointing_game import energy_inside
from luab_trainer.evaluation.metrics.max_box_acc.max_box_acc import BoxAccuracy
from luab_trainer.evaluation.metrics.pointing_game.pointing_game import is_hit
from luab_trainer.evaluation.pointing import maxima
from luab_trainer.geometry import pair
from luab_trainer.images import decode
from luab_trainer.targets import Columns
from luab_trainer.transforms import EvalTransform, ImageSettings

UNIFORM = np.ones((1, 1))  # a map that says nothing, to compare with


@dataclass(frozen=True)
class ScoreMap:
    """One image and one class of it.

    Attributes:
        image_id: Of the row; its number where rows have none.
        label: The class, as the rows number it.
        scores: [h, w] of the model's grid, what boxes are cut from: class-activation map or CLS attention.
        attention: [h, w], a distribution: the softmax of the class-activation map, or the CLS attention.
        point: [2], x and y in pixels of the image: where `attention`, upsampled bilinearly, is highest.
        boxes: [[x, y, w, h]], pixels: the class's, in an image of `width` x `height` pixels.
    """

    image_id: str
    label: int
    scores: np.ndarray
    attention: np.ndarray
    point: np.ndarray
    boxes: list[list[float]]
    width: int
    height: int


@dataclass
class _Question:
    pixel_values: Tensor = field(repr=False)
    image_id: str
    label: int
    boxes: list[list[float]]
    width: int
    height: int


class Localisation:
    """Localisation from image labels: MaxBoxAcc, MaxBoxAccV2, pointing game, energy pointing game.

    Args:
        rows: with an image, a label (or several) and an `objects` column {"bbox": [[x, y, w, h]] pixels,
            "category": [int]}. Of a row with one label all boxes count, of several those of each label's
            category. Images without boxes are left out.
        settings: of the model's image processor; its crop is not used, see the module.
        columns: where image and label are.
        outputs: the model's output for each class of the rows. Default: they are numbered alike.

    Calling it returns
        max_box_acc, max_box_acc_v2, max_box_acc_v2_iou_30, _50, _70, max_box_acc_threshold: `BoxAccuracy`,
        pointing_game, pointing_game_class_mean: share of maxima in a box; the mean of the classes' shares,
        pointing_game_center: the same for a model that always points at the centre, to compare with,
        energy_pointing_game: share of the attention's mass inside the boxes,
        energy_pointing_game_uniform: the same for attention that is everywhere, to compare with,
        localisation_images: how many images (with several labels: image and class pairs) that is.
    """

    primary_metric = "max_box_acc_v2"

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        settings: ImageSettings,
        columns: Columns | None = None,
        outputs: Sequence[int] | None = None,
        batch_size: int = 32,
    ):
        self.rows = rows
        self.settings = settings
        self.columns = columns or Columns()
        self.outputs = outputs
        self.batch_size = batch_size

    def __call__(self, model: PreTrainedModel) -> dict[str, float]:
        return self.judge(model).metrics()

    def judge(self, model: PreTrainedModel) -> "Judgement":
        """One pass over the rows. Memory: a batch of images, and 0.6 kB for each image."""
        judgement = Judgement()
        maps = score_maps(model, self.rows, self.settings, self.columns, self.outputs, self.batch_size)
        for score_map in maps:
            judgement.add(score_map)
        return judgement


class Judgement:
    """The results of `ScoreMap`s, added one by one.

    Attributes:
        ids, labels: [N] of what was added.
    """

    def __init__(self):
        self.ids: list[str] = []
        self.labels: list[int] = []
        self._boxes = BoxAccuracy()
        self._values: list[tuple[float, ...]] = []

    def add(self, score_map: ScoreMap) -> None:
        """Take in one image and class."""
        boxes, width, height = score_map.boxes, score_map.width, score_map.height
        self._boxes.add(score_map.scores, [_corners(box) for box in boxes], width, height)
        self._values.append(
            (
                is_hit(score_map.point, boxes),
                is_hit((width / 2, height / 2), boxes),
                energy_inside(score_map.attention, boxes, width, height),
                energy_inside(UNIFORM, boxes, width, height),
            )
        )
        self.ids.append(score_map.image_id)
        self.labels.append(score_map.label)

    def per_image(self) -> dict[str, np.ndarray]:
        """Name of a metric -> [N] float, whose mean is the metric (thresholds are those of all images)."""
        hits = self._boxes.hits().astype(float)
        pointing, center, energy, uniform = np.array(self._values, float).T
        return {
            "max_box_acc": hits[0],
            "max_box_acc_v2": hits[1:].mean(axis=0),
            "pointing_game": pointing,
            "pointing_game_center": center,
            "energy_pointing_game": energy,
            "energy_pointing_game_uniform": uniform,
        }

    def metrics(self) -> dict[str, float]:
        """See `Localisation`.

        Raises:
            ValueError: nothing was added.
        """
        values = self.per_image()
        labels = np.array(self.labels)
        by_class = [values["pointing_game"][labels == label].mean() for label in np.unique(labels)]
        return {
            **{name: float(each.mean()) for name, each in values.items()},
            **self._boxes.compute(),
            "pointing_game_class_mean": float(np.mean(by_class)),
            "localisation_images": len(self.ids),
        }


@torch.no_grad()
def score_maps(
    model: PreTrainedModel,
    rows: Iterable[Mapping[str, Any]],
    settings: ImageSettings,
    columns: Columns | None = None,
    outputs: Sequence[int] | None = None,
    batch_size: int = 32,
) -> Iterator[ScoreMap]:
    """The model's map of the true class of each row that has boxes. Arguments: see `Localisation`.

    Raises:
        ValueError: a model whose attention cannot be read, or an image that cannot (names the row).
    """
    if not isinstance(model, PreTrainedModel):
        raise ValueError(
            f"localisation reads the attention of transformers' models, not a {type(model).__name__}'s."
        )
    attention = spatial_attention(model)
    columns = columns or Columns()
    training = model.training
    model.eval()
    try:
        batch: list[_Question] = []
        for question in _questions(rows, settings, columns):
            batch.append(question)
            if len(batch) == batch_size:
                yield from _answer(model, attention, batch, outputs)
                batch = []
        if batch:
            yield from _answer(model, attention, batch, outputs)
    finally:
        model.train(training)


def _questions(
    rows: Iterable[Mapping[str, Any]], settings: ImageSettings, columns: Columns
) -> Iterator[_Question]:
    transform = EvalTransform(replace(settings, resize=pair(settings.size)))  # squeeze, cut off nothing
    for number, row in enumerate(rows):
        image_id = str(row.get(IMAGE_ID, number))
        labels, objects = row[columns.label], row[OBJECTS]
        if not objects["bbox"]:
            continue
        try:
            pixels = decode(row[columns.image])
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"Row {number} ({image_id}): cannot read the image: {error}") from error
        pixel_values, _ = transform(pixels)
        height, width = pixels.shape[:2]
        for label in [labels] if isinstance(labels, int) else labels:
            boxes = [
                list(box)
                for at, box in enumerate(objects["bbox"])
                if isinstance(labels, int) or objects["category"][at] == label
            ]
            if boxes:
                yield _Question(pixel_values, image_id, label, boxes, width, height)


def _answer(
    model: PreTrainedModel,
    attention: ActivationMap | CLSAttention,
    batch: list[_Question],
    outputs: Sequence[int] | None,
) -> Iterator[ScoreMap]:
    pixel_values = torch.stack([question.pixel_values for question in batch]).to(model.device, model.dtype)
    labels = [question.label if outputs is None else outputs[question.label] for question in batch]
    classes = torch.tensor(labels, device=model.device)[:, None]
    attention.watch(model)
    model(pixel_values)
    size = tuple(pixel_values.shape[-2:])
    if isinstance(attention, ActivationMap):
        scores = attention.activation_maps(model, size, classes)[:, 0].float()
        spread = scores.flatten(1).softmax(dim=1).view_as(scores)
    else:
        scores = spread = attention.maps(model, size, classes)[:, 0].mean(dim=1)  # over the layers
    upsampled = F.interpolate(spread[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    arrays = (tensor.cpu().double().numpy() for tensor in (scores, spread, maxima(upsampled)))
    for question, scores_of, spread_of, point in zip(batch, *arrays, strict=True):
        yield ScoreMap(
            question.image_id,
            question.label,
            scores_of,
            spread_of,
            point * (question.width, question.height),
            question.boxes,
            question.width,
            question.height,
        )


def _corners(box: Sequence[float]) -> list[float]:
    """x, y, w, h -> x0, y0, x1, y1, the first and last pixels: those that official box files give."""
    x, y, width, height = box
    x, y = max(x, 0), max(y, 0)
    return [x, y, max(box[0] + width - 1, x), max(box[1] + height - 1, y)]
