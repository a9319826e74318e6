"""Ends a run at its first loss or gradient that is not finite, and names the step and the batch's rows.

transformers' own filter (`logging_nan_inf_filter`) would continue training and log an average of earlier
losses.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from luab_data.constants import IMAGE_ID
from luab_data.errors import SourceError

MOST_ROWS = 8  # row names in a message


@dataclass
class _Step:
    """The values of one (micro-)batch; on an accelerator they are still being copied."""

    number: int
    value: Tensor  # on the CPU; valid once `arrived` has happened
    arrived: torch.cuda.Event | None
    terms: Mapping[str, Tensor]
    rows: Tensor | None


class FiniteSteps:
    """Watches the losses and gradients of a run.

    On the CPU each is read at once. On a GPU the value is copied in the background and read when the next
    step starts, so the device never waits. The error still names the right step and rows.

    Args:
        name_rows: Row numbers -> their names for the error.
    """

    def __init__(self, name_rows: Callable[[list[int]], str]):
        self.name_rows = name_rows
        self._waiting: list[_Step] = []
        self._last: _Step | None = None

    def add_loss(self, step: int, loss: Tensor, terms: Mapping[str, Tensor], rows: Tensor | None) -> None:
        """Adds the loss of the batch of `rows` in step `step`. terms: {name: [B]}.

        Raises:
            SourceError: this loss, or an earlier one, is not finite.
        """
        self.check()
        terms = {name: term.detach() for name, term in terms.items()}
        self._last = self._send(step, loss, terms, rows)

    def add_gradient(self, norm: Tensor | float) -> None:
        """Adds the gradient norm of the last batch, before the weights change.

        Raises:
            SourceError: as `add_loss`.
        """
        last = self._last
        if isinstance(norm, DTensor):  # sharded weights: each process has a part
            norm = norm.full_tensor()
        if last is not None and isinstance(norm, Tensor):
            self._send(last.number, norm, {}, last.rows)

    def check(self) -> None:
        """Raises SourceError if an added value is not finite."""
        waiting, self._waiting = self._waiting, []
        for step in waiting:
            if step.arrived is not None:
                step.arrived.synchronize()
            # As a Python number: ten times as fast as torch's operations on one element.
            if not all(map(math.isfinite, step.value.flatten().tolist())):
                raise SourceError(self._explain(step))

    def _send(self, number: int, value: Tensor, terms: Mapping[str, Tensor], rows: Tensor | None) -> _Step:
        arrived, sent = None, value.detach()
        if value.device.type == "cuda":
            sent = sent.to("cpu", non_blocking=True)  # into pinned memory
            arrived = torch.cuda.Event()
            arrived.record()
        step = _Step(number, sent, arrived, terms, rows)
        self._waiting.append(step)
        if self._reads_at_once(value):
            self.check()
        return step

    def _reads_at_once(self, value: Tensor) -> bool:
        return value.device.type == "cpu"

    def _explain(self, step: _Step) -> str:
        if not step.terms:
            what, rows = f"the norm of the gradient is {step.value.max().item()}", step.rows
        else:
            means = ", ".join(f"{name} {term.float().mean().item():.4g}" for name, term in step.terms.items())
            what, rows = f"the loss is {step.value.float().mean().item()} ({means})", step.rows
            wrong = torch.stack([~torch.isfinite(term.float()) for term in step.terms.values()]).any(dim=0)
            if rows is not None and wrong.any() and len(rows) == len(wrong):
                rows = rows[wrong.to(rows.device)]
        named = "" if rows is None else f" Its batch: {self.name_rows(rows.tolist())}."
        return (
            f"training stopped in step {step.number}: {what}, so the weights would be lost.{named} A lower "
            "--learning_rate, or --bf16 instead of --fp16, most often helps. Where it is always the same "
            "rows, look at their images and byproducts. Checkpoints from before this step are whole."
        )


def row_names(dataset: Any) -> Callable[[list[int]], str]:
    """Names for the rows of a `ViewDataset`: number, and image id if there is one."""

    def name(numbers: list[int]) -> str:
        rows = getattr(dataset, "rows", None)
        shown = numbers[:MOST_ROWS]
        names = [str(number) for number in shown]
        if isinstance(rows, datasets.Dataset) and IMAGE_ID in rows.column_names:
            ids = rows.select_columns(IMAGE_ID)[shown][IMAGE_ID]
            names = [f"{number} ({image_id})" for number, image_id in zip(shown, ids, strict=True)]
        left = len(numbers) - len(shown)
        more = f" and {left:,} more" if left else ""
        return f"row{'s' if len(numbers) > 1 else ''} {', '.join(names)}{more}"

    return name


def require_finite_metrics(metrics: Mapping[str, float], step: int) -> None:
    """Raises SourceError if a mean over the evaluated rows is NaN or infinite."""
    wrong = [f"{name} {value}" for name, value in metrics.items() if not torch.tensor(value).isfinite()]
    if wrong:
        raise SourceError(
            f"the evaluation after step {step} gives {', '.join(wrong)}: the weights diverged, or a row's "
            "byproduct is damaged. Nothing of it is written; checkpoints from before are whole."
        )
