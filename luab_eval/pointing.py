"""The pointing game: whether the maximum of the model's attention is on the object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from luab_attention.boxes.boxes import ImageBoxes, inside
from luab_attention.boxes.rows import RowBoxes
from luab_attention.targets import NO_TARGET
from luab_data.constants import IMAGE_ID
from luab_data.errors import SourceError
from luab_data.rows.columns import Columns
from luab_vision.geometry import View, to_view
from luab_vision.images import decode
from luab_vision.model_attention import spatial_attention
from luab_vision.transforms import EvalTransform, ImageSettings

CENTER = np.array([0.5, 0.5])  # crop ratios


@dataclass(frozen=True)
class _Question:
    """One image: the boxes of each of its classes.

    [N, 4] (x, y, w, h), in crop ratios, clipped to the crop.
    """

    name: str
    pixel_values: Tensor
    boxes: dict[int, np.ndarray]


class PointingGameEvaluator:
    """Share of images whose attention has its maximum inside a true box (Zhang et al., ECCV 2016).

    The attention (for a feature map: of the true class; for a vision transformer: the mean over its layers)
    is upsampled bilinearly to the model's input. Boxes go through the same view as the image. The crop keeps
    only the visible part of a box, and an image without a visible box is skipped. With several labels per
    image, each label is evaluated on the boxes of its category (a vision transformer's attention is the same
    for all labels).

    Args:
        rows: rows with an image, one or several labels, and boxes that `RowBoxes` can read.
        settings: settings of the model's image processor, which define the view.
        columns: names of the image and label columns.

    Attributes:
        boxes: the reader, which counts what it skipped.

    Calling it returns
        pointing_game: share of hits,
        pointing_game_class_mean: mean of the classes' shares (the paper's),
        pointing_game_center: share of hits of the baseline that always points at the center,
        pointing_game_images: number of images; with several labels per image, of pairs of image and class.
    """

    primary_metric = "pointing_game"

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        settings: ImageSettings,
        columns: Columns | None = None,
        batch_size: int = 32,
    ):
        self.rows = rows
        self.transform = EvalTransform(settings)
        self.columns = columns or Columns()
        self.batch_size = batch_size
        self.boxes = RowBoxes(self.columns.label, rows if isinstance(rows, datasets.Dataset) else None)

    def __call__(self, model: PreTrainedModel) -> dict[str, float]:
        """The metrics of a model.

        Raises:
            SourceError: a map that is not finite.
        """
        return self.metrics(self.counts(model))

    @classmethod
    def metrics(cls, counts: Tensor) -> dict[str, float]:
        """The metrics from `counts`, possibly summed over several processes.

        Without any image only the count is returned: a rate of 0 would mean that all were missed.
        """
        hits, center, asked = counts.sum(dim=0).tolist()
        images = {f"{cls.primary_metric}_images": asked}
        if not asked:
            return images
        rates = cls.by_class(counts)[cls.primary_metric]
        return {
            cls.primary_metric: hits / asked,
            f"{cls.primary_metric}_class_mean": float(np.nanmean(rates)),
            f"{cls.primary_metric}_center": center / asked,
            **images,
        }

    @classmethod
    def by_class(cls, counts: Tensor) -> dict[str, np.ndarray]:
        """Each class's share of hits [K], NaN for a class that does not occur, and its count."""
        hits, center, asked = counts.cpu().double().numpy().T
        asked_for = np.where(asked > 0, asked, np.nan)
        return {
            cls.primary_metric: hits / asked_for,
            f"{cls.primary_metric}_center": center / asked_for,
            f"{cls.primary_metric}_images": asked.astype(int),
        }

    @torch.no_grad()
    def counts(self, model: PreTrainedModel) -> Tensor:
        """[K, 3]: each class's hits, hits of the center, total; float32, on the model's device."""
        training = model.training
        model.eval()
        counts = torch.zeros(model.config.num_labels or 0, 3)
        batch: list[_Question] = []
        for question in self._questions():
            batch.append(question)
            if len(batch) == self.batch_size:
                self._ask(model, batch, counts)
                batch = []
        if batch:
            self._ask(model, batch, counts)
        model.train(training)
        return counts.to(model.device)

    def _questions(self) -> Iterator[_Question]:
        for number, row in enumerate(self.rows):
            pixels = decode(row[self.columns.image])
            pixel_values, view = self.transform(pixels)
            height, width = pixels.shape[:2]
            of_label = self.boxes.by_label(row, partial(tuple, (width, height)))
            boxes = {label: visible_boxes(found, view) for label, found in of_label.items()}
            boxes = {label: found for label, found in boxes.items() if len(found)}
            if boxes:
                yield _Question(str(row.get(IMAGE_ID, f"of row {number}")), pixel_values, boxes)

    def _ask(self, model: PreTrainedModel, batch: list[_Question], counts: Tensor) -> None:
        """Add the batch's hits, hits of the center, and total to `counts` [K, 3]."""
        pixel_values = torch.stack([question.pixel_values for question in batch]).to(
            model.device, model.dtype
        )
        most = max(len(question.boxes) for question in batch)
        classes = torch.full((len(batch), most), NO_TARGET)
        for row, question in enumerate(batch):
            classes[row, : len(question.boxes)] = torch.tensor(list(question.boxes))
        maps = attention_maps(model, pixel_values, classes.to(model.device))  # [B, C, H, W], C = 1 for CLS
        odd = ~maps.isfinite().flatten(1).all(dim=1)
        if odd.any():
            raise SourceError(
                f"the model's map of image {batch[int(odd.int().argmax())].name} has values that are not "
                "finite: the model's weights, or the precision, do not suit it"
            )
        points = maxima(maps.flatten(0, 1)).unflatten(0, maps.shape[:2]).expand(-1, most, -1).cpu().numpy()
        for question, found in zip(batch, points, strict=True):
            for (label, boxes), point in zip(question.boxes.items(), found, strict=False):
                counts[label] += torch.tensor([*inside(np.stack([point, CENTER]), boxes), 1.0])


def attention_maps(model: torch.nn.Module, pixel_values: Tensor, classes: Tensor) -> Tensor:
    """A classifier's attention maps for `classes` [B, C] -> [B, C, H, W], in the size of `pixel_values`.

    This is the mean over layers of `luab_vision.model_attention`, upsampled bilinearly, not normalized. For
    vision transformers C = 1: the attention is the same for all classes.
    """
    attention = spatial_attention(model)
    attention.watch(model)
    model(pixel_values)
    height, width = pixel_values.shape[-2:]
    size = (height, width)
    maps = attention.maps(model, size, classes).mean(dim=2)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def maxima(maps: Tensor) -> Tensor:
    """The maximum of each of the maps [B, H, W]: [B, 2] crop ratios, x first (the pixel's center)."""
    height, width = maps.shape[-2:]
    index = maps.flatten(1).argmax(dim=1)
    return torch.stack([(index % width + 0.5) / width, (index // width + 0.5) / height], dim=1)


def visible_boxes(boxes: ImageBoxes, view: View) -> np.ndarray:
    """The visible part of an image's boxes -> [N, 4] (x, y, w, h) in crop ratios."""
    ratios = boxes.ratios()
    corners = np.stack([ratios[:, :2], ratios[:, :2] + ratios[:, 2:]], axis=1)
    # Sorted: a flipped view swaps left and right.
    low, high = np.moveaxis(np.sort(to_view(corners, view), axis=1).clip(0, 1), 1, 0)
    return np.concatenate([low, high - low], axis=1)[(high > low).all(axis=1)]
