"""One pass of a model over an image set: decodes on all cores, predicts in batches, caches the results.

A `PredictionTask` defines the prediction. The results are in `CACHE/<model's fingerprint>/<set>-<set's
fingerprint>/part-<n>.npz`, one file per 5,000 images, written atomically. An interrupted pass resumes at the
first missing part. A second benchmark with the same image set reads no image.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from luab_data.console.bars import progress
from luab_data.console.names import few, file_name
from luab_data.images.pillow import open_file
from luab_eval.arrays import read_arrays, write_arrays
from luab_eval.benchmark import ImageSet, Item, Predictions
from luab_eval.image_sets.class_maps import wnids
from luab_eval.localization import LocalizationTask
from luab_eval.models import Classifier, NotFinite
from luab_eval.tasks import ClassificationTask, PredictionTask, UnsuitedModel
from luab_vision.geometry import pair
from luab_vision.images import decode, read_file
from luab_vision.transforms import EvalTransform, ImageSettings

FORMAT = 2  # version of the cache; increased when the same images would give other predictions
PART = 5_000  # images
PIXELS = "pixels"  # key in the cache: a hash of each image


def all_cores() -> int:
    """Cores that this process may use."""
    with suppress(AttributeError):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class PassSettings:
    """How to run a pass; no setting changes the predictions.

    Attributes:
        device: The model's device.
        batch_size: Images per batch.
        num_workers: Processes that decode images; 0: this one.
        progress: Whether to show a progress bar.
    """

    device: str | torch.device = "cpu"
    batch_size: int = 64
    num_workers: int = all_cores()
    progress: bool = True


def predict(classifier: Classifier, images: ImageSet, cache: Path, settings: PassSettings) -> Predictions:
    """The model's predictions on an image set, from the cache if possible.

    Raises:
        ValueError: the set is empty, the model lacks its classes, or an image is unreadable.
        UnsuitedModel: the set has boxes, and the model has no known attention.
    """
    if not images.items:
        raise ValueError(f"image set {images.name} has no images")
    outputs = classifier.outputs(images.classes)
    items = images.items
    key = fingerprint(images, classifier.settings, outputs)
    folder = cache / classifier.fingerprint / f"{file_name(images.name)}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"part-{start // PART:05d}.npz" for start in range(0, len(items), PART)]
    parts = [_kept(file) for file in files]
    todo = [number for number, part in enumerate(parts) if part is None]
    try:
        if todo:
            question = _question(classifier, images, outputs, settings)
            _run(classifier, images, question, {number: files[number] for number in todo}, settings)
    except UnsuitedModel:
        raise
    except ValueError as error:  # from another process its message begins with a traceback
        raise ValueError(str(error).rpartition("ValueError: ")[2].strip()) from error
    complete = [
        read_arrays(file, digest_needed=True) if part is None else part
        for file, part in zip(files, parts, strict=True)
    ]
    return Predictions(
        ids=np.array([item.id.encode() for item in items]),
        targets=np.array([item.target for item in items], np.int64),
        groups=np.array([item.group for item in items]),
        top=_joined(complete, "top"),
        logits=_joined(complete, "logits") if images.keep_logits else None,
        classes=wnids() if images.classes is None else images.classes,
        looks=None
        if images.boxes is None
        else {name: _joined(complete, name) for name in LocalizationTask.kept},
        pixels=_joined(complete, PIXELS),
    )


def fingerprint(images: ImageSet, settings: ImageSettings, outputs: Sequence[int]) -> str:
    """Hash of everything but the weights that determines the predictions; for files name, size and time."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((FORMAT, PART, settings, outputs, replace(images, items=()))).encode())
    for item in images.items:
        source: object = item.image
        if isinstance(item.image, Path):
            status = item.image.stat()
            source = (status.st_size, status.st_mtime_ns)
        digest.update(f"{item.id}\0{source}\n".encode())
    return digest.hexdigest()


def read_image(item: Item, upright: bool = False) -> np.ndarray:
    """The image's pixels, uint8 `[H, W, 3]` RGB.

    `upright`: as in training, with EXIF orientation applied and transparent pixels white. Otherwise as the
    authors of the published benchmarks read it: in the stored orientation, converted by Pillow.

    Raises:
        ValueError: it is unreadable; the message names it.
    """
    try:
        value = item.image if isinstance(item.image, Path) else item.image()
        if upright:
            return decode(value)
        data = read_file(value) if isinstance(value, Path) else value.get("bytes")
        if data is None:
            raise ValueError("its row holds a path and not the file's bytes")
        with open_file(data) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = item.image if isinstance(item.image, Path) else item.id
        raise ValueError(
            f"image {name} cannot be read: {error}; get it anew from the benchmark's source"
        ) from error


class PixelValues(Dataset[Tensor]):
    """Image `i` of a set as model input: `[3, H, W]` float32."""

    def __init__(self, images: ImageSet, settings: ImageSettings):
        if images.whole:
            settings = replace(settings, resize=settings.size, cut=None)
        if images.boxes is not None:  # resized whole, so that a map covers the whole image
            settings = replace(settings, resize=pair(settings.size), cut=None)
        self.images = images
        self.transform = EvalTransform(settings)

    def __len__(self) -> int:
        return len(self.images.items)

    def __getitem__(self, index: int) -> Tensor:
        return self.values(self.pixels(index))

    def pixels(self, index: int) -> np.ndarray:
        """The decoded image, uint8 `[H, W, 3]`."""
        return read_image(self.images.items[index], self.images.upright)

    def values(self, pixels: np.ndarray) -> Tensor:
        """The model's input."""
        if border := self.images.border:
            pixels = pixels[border:-border, border:-border]
        values, _ = self.transform(pixels)
        return occlude(values, self.images.occlusion)


class HashedPixelValues(Dataset[tuple[Tensor, int]]):
    """The same, and a hash of the decoded image: a signed int of 64 bits."""

    def __init__(self, images: ImageSet, settings: ImageSettings):
        self.plain = PixelValues(images, settings)

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.plain.pixels(index)
        digest = hashlib.sha256(str(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return self.plain.values(pixels), int.from_bytes(digest.digest()[:8], "little", signed=True)


def occlude(values: Tensor, side: float) -> Tensor:
    """`[3, H, W]` -> the same with a square of 0 (the mean color) in the center.

    `side`: side of the square, as a ratio of the crop's shorter side; rounded to whole pixels.
    """
    height, width = values.shape[1:]
    pixels = round(side * min(height, width))
    top, left = (height - pixels) // 2, (width - pixels) // 2
    values[:, top : top + pixels, left : left + pixels] = 0
    return values


def _question(
    classifier: Classifier, images: ImageSet, outputs: Sequence[int], settings: PassSettings
) -> PredictionTask:
    if images.boxes is None:
        return ClassificationTask(classifier, outputs, images.keep_logits)
    return LocalizationTask(classifier, outputs, images, settings.num_workers, settings.progress)


def _run(
    classifier: Classifier,
    images: ImageSet,
    question: PredictionTask,
    parts: dict[int, Path],
    settings: PassSettings,
) -> None:
    """Predict the images of `parts` (number -> file); write each part when it is complete."""
    batches = [(number, batch) for number in parts for batch in _batches(number, len(images.items), settings)]
    loader = DataLoader(
        HashedPixelValues(images, classifier.settings),
        batch_sampler=[batch for _, batch in batches],
        # Processes take seconds to start; without them a few batches are decoded sooner.
        num_workers=min(settings.num_workers, len(batches) - 1),
        pin_memory=torch.device(settings.device).type == "cuda",
    )
    total = sum(len(batch) for _, batch in batches)
    done: list[tuple[Tensor, ...]] = []  # the hashes first
    with (
        progress(total, images.name, "img", disable=not settings.progress) as bar,
        torch.inference_mode(),
    ):
        for position, ((number, batch), (values, hashes)) in enumerate(zip(batches, loader, strict=True)):
            try:
                answers = question.ask(values.to(settings.device, non_blocking=True), batch)
            except NotFinite as error:
                ids = [images.items[batch[at]].id for at in error.positions]
                raise ValueError(
                    f"{classifier.name}: its outputs are NaN or infinite for {few(ids)}: not evaluated"
                ) from error
            done.append((hashes, *(answer.cpu() for answer in answers)))
            bar.update(len(batch))
            if position + 1 == len(batches) or batches[position + 1][0] != number:
                pixels, *columns = (torch.cat(column).numpy() for column in zip(*done, strict=True))
                kept = question.keep(_positions(number, len(images.items)), columns)
                write_arrays(parts[number], {**kept, PIXELS: pixels})
                done.clear()


def _positions(part: int, total: int) -> range:
    """The positions of a part's images."""
    return range(part * PART, min(total, (part + 1) * PART))


def _batches(part: int, total: int, settings: PassSettings) -> Iterator[list[int]]:
    """The positions of a part's images, in batches."""
    positions = _positions(part, total)
    for start in range(0, len(positions), settings.batch_size):
        yield list(positions[start : start + settings.batch_size])


def _joined(parts: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
    return np.concatenate([part[name] for part in parts])


def _kept(file: Path) -> dict[str, np.ndarray] | None:
    """The content of a part; None if it is missing or damaged, and must be computed."""
    if not file.exists():
        return None
    try:
        return read_arrays(file, digest_needed=True)
    except ValueError as error:
        warnings.warn(f"{file} is damaged ({error}); its images are evaluated again", stacklevel=2)
        return None
