"""The terms of the loss, summed on the device: their means are exact, and no step waits for them."""

import torch
from accelerate import Accelerator
from torch import Tensor


class TermMeans:
    """Means of terms over the rows of all processes since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # [2] each: the sum, and the number of rows

    def add(self, terms: dict[str, Tensor], rows: int | None = None) -> None:
        """Add a batch's terms {name: [B]}, of its first `rows` or of all."""
        rows = _batch_size(terms) if rows is None else rows
        for name, term in terms.items():
            count = term.new_tensor(rows, dtype=torch.float32)
            added = torch.stack([term[:rows].detach().float().sum(), count])
            self._sums[name] = self._sums[name] + added if name in self._sums else added

    def clear(self) -> None:
        """Forget what was added."""
        self._sums = {}

    def take(self, accelerator: Accelerator) -> dict[str, float]:
        """{name: mean}, after which the sums begin anew. Called by all processes."""
        sums, self._sums = self._sums, {}
        if not sums:
            return {}
        total = accelerator.reduce(torch.stack(list(sums.values())), reduction="sum").tolist()
        return {name: value / max(count, 1) for name, (value, count) in zip(sums, total, strict=True)}


def real_rows(terms: dict[str, Tensor], accelerator: Accelerator) -> int:
    """How many rows of this process's batch are no repetitions.

    Rows are repeated to fill up the last batch of several processes.

    Args:
        terms: {name: [B]}.
        accelerator: The trainer's.
    """
    state, rows = accelerator.gradient_state, _batch_size(terms)
    if accelerator.num_processes == 1 or not state.end_of_dataloader or state.remainder <= 0:
        return rows
    return min(max(state.remainder - accelerator.process_index * rows, 0), rows)


def _batch_size(terms: dict[str, Tensor]) -> int:
    return next(iter(terms.values())).shape[0]
