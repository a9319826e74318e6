"""A pass of a model over images, shared by the processes of a team.

Images are dealt out in whole batches, in turn. So each batch is the same as in one process, and so is each
number, if the devices are alike. No batch is padded, so no image is counted twice.

    lead     in the first process: yields the predictions of each part of the images, in order
    follow   in the others: computes their shares until the leader has no more
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import find_executable_batch_size
from torch import Tensor
from torch.utils.data import DataLoader
from transformers.utils.logging import disable_progress_bar

from luab_data.console.bars import progress
from luab_data.console.names import few
from luab_eval.benchmark import ImageSet
from luab_eval.localization import LocalizationTask, MapTask
from luab_eval.models import Classifier, NotFinite, load_classifier
from luab_eval.pixels import HashedPixelValues
from luab_eval.tasks import ClassificationTask, PredictionTask
from luab_eval.team import ALONE, Failed, Team
from luab_vision.geometry import pair

PIXELS = "pixels"  # key of each part's arrays: a hash of each image
AUTO_ELSEWHERE = 64  # images of a batch that is found automatically, where memory is the machine's own
LARGEST = 1024  # the same on a GPU, at most: it is busy by then


def all_cores() -> int:
    """Cores that this process may use."""
    with suppress(AttributeError):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class PassSettings:
    """How to run a pass; no setting changes the predictions, beyond rounding in another batch size.

    Attributes:
        device: The model's device.
        batch_size: Images per batch; None: the largest power of two that fits into a GPU's memory, up to
            `LARGEST`, and `AUTO_ELSEWHERE` on a CPU.
        num_workers: Processes that decode images; 0: this one.
        progress: Whether to show a progress bar, and then the images per second.
        team: The processes that share the pass.
    """

    device: str | torch.device = "cpu"
    batch_size: int | None = 64
    num_workers: int = all_cores()
    progress: bool = True
    team: Team = ALONE


class Order(NamedTuple):
    """What the leader wants to be predicted.

    Attributes:
        name: The model's name, for messages.
        source: What `load_classifier` loads it from.
        fingerprint: Of its weights and precision, as the leader has them.
        bf16, compiled: As of `load_classifier`.
        images: The image set.
        parts: Positions of its images.
        settings: The leader's, without its team.
    """

    name: str
    source: str
    fingerprint: str
    bf16: bool
    compiled: bool
    images: ImageSet
    parts: Sequence[range]
    settings: PassSettings


class Share(NamedTuple):
    """What one process predicted of a part: the `positions` of the images, and an array of each output."""

    positions: list[int]
    arrays: dict[str, np.ndarray]


class _Work(NamedTuple):
    classifier: Classifier
    question: PredictionTask


def lead(
    classifier: Classifier, images: ImageSet, parts: Sequence[range], settings: PassSettings
) -> Generator[dict[str, np.ndarray], None, None]:
    """The predictions of each part: outputs by name, and `PIXELS`, in the order of the images.

    Close it if not all parts are taken.

    Raises:
        ValueError: an image is unreadable, an output is not finite, or another process failed.
        UnsuitedModel: the set has boxes, and the model has no known attention.
    """
    work = _Work(classifier, _question(classifier, images, settings))
    if settings.team.size > 1 and not classifier.source:
        raise ValueError(f"{classifier.name}: the other processes cannot load it; give a folder or an id")
    alone = replace(settings, team=ALONE, progress=False)
    settings.team.send(
        Order(
            classifier.name,
            classifier.source,
            classifier.fingerprint,
            classifier.bf16,
            classifier.compiled is not None,
            images,
            parts,
            alone,
        )
    )
    with closing(_shares(lambda: work, images, parts, settings)) as steps:
        for shares in steps:
            yield _joined([share for share in shares if share is not None])


def follow(team: Team) -> None:
    """Predicts what the leader orders, until it has no more."""
    disable_progress_bar()  # of loaded weights: the leader shows its own
    load = lru_cache(1)(load_classifier)
    while (order := team.receive()) is not None:
        device = torch.device(order.settings.device).type

        def prepare(order: Order = order, kind: str = device) -> _Work:
            loaded = load(order.source, team.device(kind), bf16=order.bf16, compiled=order.compiled)
            if loaded.fingerprint != order.fingerprint:
                raise ValueError(
                    f"--model {order.source}: process {team.rank} loaded other weights than the first one. "
                    "Let nothing write into the folder meanwhile"
                )
            classifier = replace(loaded, name=order.name)
            return _Work(classifier, _question(classifier, order.images, order.settings))

        own = replace(order.settings, device=_own(device, team), team=team)
        with suppress(Failed), closing(_shares(prepare, order.images, order.parts, own)) as steps:
            for _ in steps:
                pass


def _own(kind: str, team: Team) -> str:
    return f"{kind}:{team.local_rank}" if kind == "cuda" else kind


def _question(classifier: Classifier, images: ImageSet, settings: PassSettings) -> PredictionTask:
    outputs = classifier.outputs(images.classes)
    if images.maps:
        return MapTask(classifier, outputs, images)
    if images.boxes is None:
        return ClassificationTask(classifier, outputs, images.keep_logits)
    return LocalizationTask(classifier, outputs, images, settings.num_workers, settings.progress)


def _shares(
    prepare: Callable[[], _Work], images: ImageSet, parts: Sequence[range], settings: PassSettings
) -> Generator[list[Share | None], None, None]:
    """Each part's shares of all processes; None from a process without a batch of the part."""
    team, made = settings.team, list[_Work]()

    def ready() -> int:
        made.append(prepare())
        return settings.batch_size or fitting(*made[0], settings.device)

    sizes = team.agree(ready)
    with closing(_own_shares(*made[0], images, parts, replace(settings, batch_size=min(sizes)))) as own:
        yield from team.steps(own, len(parts))


def fitting(classifier: Classifier, question: PredictionTask, device: str | torch.device) -> int:
    """The images of the largest batch that fits into the memory of the device; see `PassSettings`."""
    if torch.device(device).type in ("cpu", "mps"):  # their memory is the machine's: it would swap
        return AUTO_ELSEWHERE
    size, tried = pair(classifier.settings.size), LARGEST

    def half() -> int:
        nonlocal tried
        tried //= 2
        if not tried:
            raise ValueError(f"not enough memory on {device} for a single image of {size[0]} x {size[1]}")
        return tried

    @find_executable_batch_size(starting_batch_size=tried, reduce_batch_size_fn=half)
    def ask(batch_size: int) -> int:
        with torch.inference_mode(), suppress(NotFinite):
            question.ask(torch.zeros(batch_size, 3, *size, device=device), [0] * batch_size)
        return batch_size

    return ask()


def _own_shares(
    classifier: Classifier,
    question: PredictionTask,
    images: ImageSet,
    parts: Sequence[range],
    settings: PassSettings,
) -> Generator[Share | None, None, None]:
    """This process's share of each part."""
    team = settings.team
    batches = [(number, batch) for number, part in enumerate(parts) for batch in _batches(part, settings)]
    own = range(team.rank, len(batches), team.size)
    seen = list(accumulate(len(batch) for _, batch in batches))  # images, of all processes
    of_part: dict[int, list[int]] = defaultdict(list)
    for at in own:
        of_part[batches[at][0]].append(at)
    loader = DataLoader(
        HashedPixelValues(images, classifier.settings),
        batch_sampler=[batches[at][1] for at in own],
        # Processes take seconds to start; without them a few batches are decoded sooner.
        num_workers=min(settings.num_workers, max(len(own) - 1, 0)),
        pin_memory=torch.device(settings.device).type == "cuda",
    )
    loaded = iter(loader)
    with progress(seen[-1], images.name, "img", disable=not settings.progress) as bar:
        for number in range(len(parts)):
            done: list[tuple[Tensor, ...]] = []  # the hashes first
            positions: list[int] = []
            for at in of_part[number]:
                values, hashes = next(loaded)
                batch = batches[at][1]
                answers = _ask(classifier, question, images, values, batch, settings.device)
                done.append((hashes, *(answer.cpu() for answer in answers)))
                positions += batch
                bar.update(seen[min(at + team.size, len(seen)) - 1] - bar.n)
            if not done:
                yield None
                continue
            pixels, *columns = (torch.cat(column).numpy() for column in zip(*done, strict=True))
            yield Share(positions, {**question.keep(positions, columns), PIXELS: pixels})


def _ask(
    classifier: Classifier,
    question: PredictionTask,
    images: ImageSet,
    values: Tensor,
    batch: Sequence[int],
    device: str | torch.device,
) -> tuple[Tensor, ...]:
    try:
        with torch.inference_mode():
            return question.ask(values.to(device, non_blocking=True), batch)
    except NotFinite as error:
        ids = [images.items[batch[at]].id for at in error.positions]
        raise ValueError(
            f"{classifier.name}: its {error.what} are NaN or infinite for {few(ids)}: not evaluated"
        ) from error


def _batches(part: range, settings: PassSettings) -> Iterator[list[int]]:
    """The positions of a part's images, in batches."""
    assert settings.batch_size is not None
    for start in range(0, len(part), settings.batch_size):
        yield list(part[start : start + settings.batch_size])


def _joined(shares: Sequence[Share]) -> dict[str, np.ndarray]:
    """The arrays of a part, in the order of its images."""
    order = np.argsort(np.concatenate([share.positions for share in shares]))
    return {
        name: np.concatenate([share.arrays[name] for share in shares])[order] for name in shares[0].arrays
    }
