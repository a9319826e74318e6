"""One pass of a model over an image set: decodes on all cores, predicts in batches, caches the results.

A `PredictionTask` defines the prediction. The results are in `CACHE/<model's fingerprint>/<set>-<set's
fingerprint>/part-<n>.npz`, one file per 5,000 images, written atomically. An interrupted pass resumes at the
first missing part. A second benchmark with the same image set reads no image.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from luab_data.console.names import file_name
from luab_data.console.text import printable
from luab_eval.arrays import read_arrays, write_arrays
from luab_eval.benchmark import ImageSet, Predictions, name_bytes
from luab_eval.image_sets.class_maps import wnids
from luab_eval.localization import LocalizationTask, MapTask
from luab_eval.models import Classifier
from luab_eval.passes import PIXELS, PassSettings, lead
from luab_eval.tasks import UnsuitedModel
from luab_vision.transforms import ImageSettings

FORMAT = 3  # version of the cache; increased when the same images would give other predictions
PART = 5_000  # images


def predict(classifier: Classifier, images: ImageSet, cache: Path, settings: PassSettings) -> Predictions:
    """The model's predictions on an image set, from the cache if possible.

    Raises:
        ValueError: the set is empty, the model lacks its classes, or an image is unreadable.
        UnsuitedModel: the set has boxes or asks for maps, and the model has no known attention.
    """
    if not images.items:
        raise ValueError(f"image set {images.name} has no images")
    looks = MapTask.kept if images.maps else () if images.boxes is None else LocalizationTask.kept
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
            # Other processes need not get the people.
            _run(
                classifier, replace(images, people=None), {number: files[number] for number in todo}, settings
            )
    except UnsuitedModel:
        raise
    except ValueError as error:  # from another process its message begins with a traceback
        raise ValueError(str(error).rpartition("ValueError: ")[2].strip()) from error
    complete = [
        read_arrays(file, digest_needed=True) if part is None else part
        for file, part in zip(files, parts, strict=True)
    ]
    return Predictions(
        ids=np.array([name_bytes(item.id) for item in items]),
        targets=np.array([item.target for item in items], np.int64),
        groups=np.array([item.group for item in items]),
        top=_joined(complete, "top"),
        logits=_joined(complete, "logits") if images.keep_logits else None,
        classes=wnids() if images.classes is None else images.classes,
        looks={name: _joined(complete, name) for name in looks} or None,
        pixels=_joined(complete, PIXELS),
    )


def fingerprint(images: ImageSet, settings: ImageSettings, outputs: Sequence[int]) -> str:
    """Hash of everything but the weights that determines the predictions; for files path, size and time.

    The target counts only where the model is asked for its class: with boxes, or for maps.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((FORMAT, PART, settings, outputs, replace(images, items=()))).encode())
    within = "" if images.folder is None else f"{images.folder.absolute()}{os.sep}"
    for item in images.items:
        source: object = item.image
        if isinstance(item.image, Path):
            status = item.image.stat()
            source = (str(item.image.absolute()).removeprefix(within), status.st_size, status.st_mtime_ns)
        asked = item.target if images.stretched else ""
        digest.update(name_bytes(f"{item.id}\0{asked}\0{source}\n"))
    return digest.hexdigest()


def _run(classifier: Classifier, images: ImageSet, files: Mapping[int, Path], settings: PassSettings) -> None:
    """Predict the images of parts (number -> file); write each part when it is complete."""
    parts = [range(len(images.items))[number * PART : (number + 1) * PART] for number in files]
    started = time.perf_counter()
    with closing(lead(classifier, images, parts, settings)) as made:
        for file, arrays in zip(files.values(), made, strict=True):
            write_arrays(file, arrays)
    if settings.progress:
        seconds, count = time.perf_counter() - started, sum(map(len, parts))
        line = f"{images.name}, {classifier.name}: {count:,} images in {seconds:,.1f} s, "
        print(printable(f"{line}{count / seconds:,.0f} images/s"), file=sys.stderr, flush=True)


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
