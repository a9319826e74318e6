"""A dataset row -> pictures: its byproducts, what the mix keeps, a training crop, attention maps."""

import html
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from luab.gallery.drawing import areas_caption, has_trace, with_areas, with_clicks, with_traces
from luab.models import load_models
from luab_attention.area_maps import Area, area_in_view
from luab_attention.areas import areas_of
from luab_attention.boxes.rows import RowBoxes
from luab_attention.targets import ROW_LABEL, Byproduct, byproducts_of, target_in_view
from luab_data import constants
from luab_data.constants import NO_LABEL
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_eval.models import Classifier
from luab_eval.pointing import attention_maps
from luab_eval.report.galleries import NOT_FINITE, data_uri, lit_by, overlay, peak, thumbnail
from luab_eval.report.table import shown
from luab_trainer.data.background import BackgroundMix, Objects, objects_in_view
from luab_trainer.losses.attention import defaults
from luab_trainer.pictures import TARGET_GRID, target_light, usual_radius
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.images import decode
from luab_vision.readout import NoReadout
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform, to_image

WITHOUT_HOLES = BackgroundMix(holes=0.0)
GRAY = 128  # where the background mix puts another image


class Panel(NamedTuple):
    """One picture and what it shows."""

    caption: str
    image: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self.image.size

    @property
    def uri(self) -> str:
        """The picture as a `data:` URL."""
        return data_uri(self.image)


@dataclass(frozen=True)
class ShownRow:
    """A row's pictures. A notebook shows them side by side."""

    title: str
    panels: tuple[Panel, ...]

    def _repr_html_(self) -> str:
        figures = "".join(
            f'<figure style="margin:0;width:12rem"><img src="{panel.uri}" alt="" style="width:100%">'
            f'<figcaption style="font-size:small">'
            f"{html.escape(panel.caption)}</figcaption></figure>"
            for panel in self.panels
        )
        return (
            f"<div><b>{html.escape(self.title)}</b>"
            f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div></div>'
        )


@dataclass(frozen=True)
class ModelLook:
    """How rows are shown.

    Attributes:
        columns: names of the row's columns.
        byproduct: byproduct that the target is made from.
        names: class names; without them class numbers are shown.
        models: models whose attention is shown.
        min_crop: smallest share of the image in a training crop.
        seed: seed of the crops.
        boxes: reads the boxes of the rows' dataset; by default their classes are numbers.
        mix: background mix whose part of the image is shown.
        gaze_in_ratios: see `in_ratios` of `luab_attention.areas.areas_of`.
    """

    columns: Columns
    byproduct: ByproductKind = "click"
    names: Sequence[str] = ()
    models: Sequence[Classifier] = ()
    min_crop: float = 0.08
    seed: int = 0
    boxes: RowBoxes | None = None
    gaze_in_ratios: bool = False
    mix: BackgroundMix = WITHOUT_HOLES

    @cached_property
    def crop(self) -> TrainTransform:
        """The transform that draws training crops, in the first model's input size if there is a model."""
        settings = self.models[0].settings if self.models else ImageSettings(size=192)
        return TrainTransform(settings, scale=(self.min_crop, 1.0))

    @cached_property
    def radius(self) -> float:
        """Radius of the target: the default of the first model's family."""
        return usual_radius(self.models[0].model) if self.models else defaults("cls", "hinge").radius

    def exhibit(self, row: Mapping[str, Any], number: int = 0) -> ShownRow:
        """A row's pictures; `number` makes the crops of several rows differ.

        Raises:
            ValueError: an unreadable image or point.
        """
        pixels = decode(row[self.columns.image])
        image = thumbnail(Image.fromarray(pixels))
        size = pixels.shape[1], pixels.shape[0]
        byproducts = [] if self.byproduct in AREA_KINDS else self._byproducts(row)
        drawn = areas_caption(row)
        panels = []
        if byproducts or not drawn:
            panels.append(Panel(self._clicks_caption(byproducts), with_clicks(image, byproducts)))
        if drawn:
            panels.append(Panel(drawn, with_areas(image, row, size)))
        annotations = (row.get(self.columns.annotations) if self.columns.annotations else None) or ()
        if has_trace(annotations):
            panels.append(Panel("trace, dark first, yellow last", with_traces(image, annotations)))
        if self.byproduct in AREA_KINDS:
            panels.append(self._lit_panel(pixels, self._areas(row, size), number))
        else:
            found = self._byproducts(row, self.byproduct)
            if found:
                panels.append(self._kept_panel(pixels, self._objects(row, found)))
            panels.append(self._crop_panel(pixels, found, number))
        panels += [self._model_panel(model, pixels) for model in self.models]
        return ShownRow(self._title(row), tuple(panels))

    def _byproducts(self, row: Mapping[str, Any], kind: ByproductKind = "click") -> list[Byproduct]:
        absent = [name for name in self.columns.of_byproduct(kind) if name not in row]
        return [] if absent else byproducts_of(row, kind, self.columns)

    def _areas(self, row: Mapping[str, Any], size: tuple[int, int]) -> list[Area]:
        assert self.byproduct in AREA_KINDS
        if not set(self.columns.of_byproduct(self.byproduct)) <= row.keys():
            return []
        value = row.get(self.columns.label)
        classes = value if isinstance(value, list) else [NO_LABEL if value is None else value]
        kind, columns, known = self.byproduct, self.columns, self.gaze_in_ratios
        return areas_of(row, kind, columns, classes, size, self.boxes, in_ratios=known)

    def _title(self, row: Mapping[str, Any]) -> str:
        value = row.get(self.columns.label)
        labels = [value] if isinstance(value, int | str) or value is None else list(value)
        text = ", ".join(self._name(label) for label in labels) or "no label"
        image_id = row.get(constants.IMAGE_ID)
        return text if image_id is None else f"{text} ({image_id})"

    def _name(self, label: Any) -> str:
        if label is None or (isinstance(label, int) and label < 0):
            return "no label"
        known = isinstance(label, int) and label < len(self.names)
        return str(self.names[label]) if known else str(label)

    def _clicks_caption(self, byproducts: Sequence[Byproduct]) -> str:
        count = sum(len(byproduct.points) for byproduct in byproducts)
        if not count:
            return "image, no click"
        if any(byproduct.label != ROW_LABEL for byproduct in byproducts):
            return f"clicks: {', '.join(self._name(byproduct.label) for byproduct in byproducts)}"
        return "click" if count == 1 else f"{count} clicks"

    def _lit_panel(self, pixels: np.ndarray, areas: Sequence[Area], number: int) -> Panel:
        """The training crop, bright where the map of its target is."""
        view, crop = self._training_crop(pixels, number)
        maps = [area_in_view(area, view, TARGET_GRID) for area in areas]
        light = np.max(maps, axis=0) if maps else np.zeros(TARGET_GRID)
        if not light.any():
            caption = "training crop, its target is outside" if areas else "training crop, no target"
            return Panel(caption, crop)
        return Panel(f"training crop, lit by its target ({self.byproduct})", lit_by(crop, light))

    def _training_crop(self, pixels: np.ndarray, number: int) -> tuple[View, Image.Image]:
        rng = np.random.default_rng((self.seed, number))
        view = self.crop.view(pixels.shape[1], pixels.shape[0], rng)
        return view, thumbnail(Image.fromarray(self.crop.crop(pixels, view).numpy()))

    def _objects(self, row: Mapping[str, Any], byproducts: Sequence[Byproduct]) -> Objects | None:
        """The points at the row's objects, as training reads them; None: training does not mix the row."""
        value = row.get(self.columns.label)
        if isinstance(value, list):
            number = {label: place for place, label in enumerate(value)}
            own = [each._replace(label=number[each.label]) for each in byproducts if each.label in number]
            return objects_in_view(torch.ones(len(value)), own, WHOLE_IMAGE)
        named = [byproduct for byproduct in byproducts if byproduct.label == value]
        own = named or [byproduct for byproduct in byproducts if byproduct.label == ROW_LABEL]
        return objects_in_view(own[0].label, own, WHOLE_IMAGE) if own else None

    def _kept_panel(self, pixels: np.ndarray, objects: Objects | None) -> Panel:
        """The image, gray where the background mix puts another image."""
        thumb = thumbnail(Image.fromarray(pixels))
        if objects is None:
            return Panel("no background mix: a label has no point", thumb)
        image = torch.from_numpy(np.array(thumb))
        gray = torch.full_like(image, GRAY)
        kept = self.mix.blend(image, gray, pixels, WHOLE_IMAGE, objects, np.random.default_rng(self.seed))
        caption = f"what the background mix keeps, {self.mix.shape} within radius {self.mix.radius:g}"
        return Panel(caption, Image.fromarray(kept.numpy()))

    def _crop_panel(self, pixels: np.ndarray, byproducts: Sequence[Byproduct], number: int) -> Panel:
        """The training crop, bright where its target allows the model to look."""
        view, crop = self._training_crop(pixels, number)
        targets = [target_in_view(byproduct, view) for byproduct in byproducts]
        tensors = [(torch.from_numpy(points), torch.from_numpy(weights)) for points, weights in targets]
        light = target_light(tensors, self.radius)
        if light is None:
            caption = "training crop, no target" if not byproducts else "training crop, its target is outside"
            return Panel(caption, crop)
        caption = f"training crop, target within {self.radius:g} of the {self.byproduct}"
        return Panel(caption, lit_by(crop, light))

    @torch.no_grad()
    def _model_panel(self, model: Classifier, pixels: np.ndarray) -> Panel:
        """The model's input, bright where its attention for the predicted class is high."""
        values, _ = EvalTransform(model.settings)(pixels)
        batch = values[None].to(next(model.model.parameters()).device)
        probabilities = model.logits(batch).softmax(dim=1)[0]
        best = int(probabilities.argmax())
        says = f"{model.name}: {model.labels[best]}, {shown(float(probabilities[best]), 0)} %"
        picture = thumbnail(to_image(values, model.settings))
        classes = torch.tensor([[best]], device=batch.device)
        attention = None
        with suppress(NoReadout):  # a model without known attention
            attention = attention_maps(model.model, batch, classes)[0, 0].float().cpu().numpy()
        if attention is None:
            return Panel(f"{says} (it is not known where it looks)", picture)
        height = peak(attention)
        where = NOT_FINITE if height is None else f"maximum {height:.1f} times even"
        return Panel(f"{says}, {where}", overlay(picture, attention))


def show(
    row: Mapping[str, Any],
    model: str | Sequence[str] = (),
    *,
    image: str = constants.IMAGE,
    label: str | None = None,
    point: str | None = None,
    annotations: str = constants.ANNOTATIONS,
    byproduct: ByproductKind = "click",
    names: Sequence[str] = (),
) -> ShownRow:
    """The pictures of one row of a dataset, for a notebook.

        import luab
        rows = datasets.load_dataset("imagenet_ab", split="train")
        luab.show(rows[0], names=rows.features["label"].names)

    Args:
        row: a row with an image, and points in ratios.
        model: checkpoints whose attention is shown.
        image: column of the image.
        label: column of the class. By default the usual name that the row has; the same for `point`.
        point: column of the point.
        annotations: column of the traces.
        byproduct: byproduct that the training crop's target is made from.
        names: class names.

    Raises:
        ValueError: the row has no such image, or a model cannot be loaded.
    """
    if image not in row:
        raise ValueError(f"the row has no {image!r}; it has {', '.join(row)}. Pass image=...")
    label = label or next(
        (name for name in (constants.LABEL, constants.LABELS) if name in row), constants.LABEL
    )
    point = point or next(
        (name for name in (constants.CLICK, constants.POINTS) if name in row), constants.CLICK
    )
    models = load_models([model] if isinstance(model, str) else model)
    columns = Columns(image=image, label=label, point=point, annotations=annotations)
    return ModelLook(columns, byproduct, names, models).exhibit(row)
