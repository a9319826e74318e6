"""What a classifier's last Linear reads, found out by running it once: the mean of a feature map, or a token.

No model is known by name here. The features that the Linear got are compared with what the modules gave: with
the mean of each map over its grid, with the mean of each sequence after its first tokens, and with those
tokens themselves. A norm between the pooling and the Linear is looked through. So a model of an unknown kind
works if it is built this way; if not, `NoReadout` says what was found instead.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from luab_data.console.names import few
from luab_vision.grids import Grid, Size, grid_of
from luab_vision.hooks import is_classifier, outputs_of
from luab_vision.token_order import changes, in_order
from luab_vision.tracing import Call, Trace, Wanted, traced

Layout = Literal["channels first", "channels last", "tokens"]
MOST_PREFIX = 16  # tokens before those of the image: CLS, distillation, registers
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm2d)
SILENT = (nn.Identity, nn.Flatten, nn.Dropout)


class NoReadout(ValueError):
    """Where a classifier looks cannot be told from how it is built.

    Attributes:
        why: The reason alone.
        takes_images: Whether it can be run on images [B, 3, H, W].
    """

    def __init__(self, message: str, why: str = "", takes_images: bool = True):
        super().__init__(message)
        self.why = why or message
        self.takes_images = takes_images


class Place(NamedTuple):
    """Where a feature map is: in the output of a module, at a key."""

    module: str
    key: str | int | None
    layout: Layout
    prefix: int = 0  # tokens before those of the grid
    grid: Grid | None = None  # of tokens


class Readout(NamedTuple):
    """What the last Linear reads.

    Attributes:
        kind: "mean" of the feature map, its first "tokens", or what "attention pooling" made of it.
        place: The feature map.
        linear: The name of the Linear; of the last one if there is one for each class token.
        norm: The name of the norm between pooling and Linear, if there is one.
        class_tokens: How many first tokens are read.
        calls: Calls of fused attention on the same tokens, in their order.
        size: Height and width of images that the model takes, in pixels.
    """

    kind: Literal["mean", "tokens", "attention pooling"]
    place: Place
    linear: str
    norm: str | None = None
    class_tokens: int = 0
    calls: tuple[Call, ...] = ()
    size: Size = (0, 0)


def find_readout(model: nn.Module) -> Readout:
    """How a classifier comes from its feature map to its logits.

    Raises:
        NoReadout: in another way than the known ones.
    """
    if not outputs_of(model):
        raise NoReadout("it says nowhere how many classes it has (config.num_labels, or num_classes of timm)")
    linears: dict[str, Any] = {
        name: module for name, module in model.named_modules() if is_classifier(module, outputs_of(model))
    }
    if not linears:
        raise NoReadout(f"it has no Linear with {outputs_of(model)} outputs, one per class")
    sizes = {module.weight.shape[1] for module in linears.values()}
    wanted = frozenset(sizes | {size // 2 for size in sizes} | {outputs_of(model)})
    try:
        trace = traced(model, Wanted(wanted))
    except ValueError as error:
        raise NoReadout(str(error), takes_images=False) from error
    names = _heads(trace, list(linears))
    return _Search(model, trace, names).readout()._replace(size=trace.size)


def close(one: Tensor, other: Tensor, least: float = 0.0) -> bool:
    """Whether two tensors of one shape are equal but for rounding: by at least `least` of the largest."""
    tolerance = max(least, 1e-4 if one.dtype in (torch.float32, torch.float64) else 2e-2)
    one, other = one.float(), other.float()
    return bool((one - other).abs().max() <= tolerance * other.abs().max() + 1e-6)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether one tensor holds what the other does, to the bit."""
    return one.shape == other.shape and bool((one == other).all())


def _heads(trace: Trace, linears: list[str]) -> list[str]:
    """The Linears that the logits come from: one, or two whose mean they are."""
    given = {name: value for name, key, value in trace.tensors if name in linears and key is None}
    given = {name: value.flatten(1) for name, value in given.items()}
    given = {name: value for name, value in given.items() if value.shape == trace.logits.shape}
    for name, value in reversed(list(given.items())):
        if close(value, trace.logits):
            return [name]
    if len(given) == 2 and close(torch.stack(list(given.values())).mean(dim=0), trace.logits):
        return list(given)
    raise NoReadout(
        f"its logits are not the output of a Linear ({', '.join(given) or 'none ran'}): what comes after it "
        "is not known"
    )


class _Search:
    """The comparisons of one trace."""

    def __init__(self, model: nn.Module, trace: Trace, heads: list[str]):
        self.trace, self.heads = trace, heads
        self.modules = dict(model.named_modules())
        self.batch = trace.logits.shape[0]
        inputs = dict(trace.inputs)
        self.read = [inputs[name].flatten(1) for name in heads]

    def readout(self) -> Readout:
        """The first that fits, of the modules that ended last.

        Raises:
            NoReadout: none fits.
        """
        linear, count = self.heads[-1], len(self.heads)
        for norm, pooled in self._before_the_norm():
            for same in (_equal, close):  # tokens of a poor model may be close to their mean
                if (found := next(self._class_tokens(pooled, same), None)) is not None:
                    place, tokens = found
                    return Readout("tokens", place, linear, norm, count, self._calls(tokens))
                if count == 1 and (averaged := next(self._means(pooled), None)) is not None:
                    return Readout("mean", averaged, linear, norm)
            if count == 1 and (pooling := self._attention_pooling(norm, pooled)) is not None:
                return pooling
        raise NoReadout(self._reason())

    def _before_the_norm(self) -> Iterator[tuple[str | None, Tensor]]:
        """The norm whose output the Linear reads, and the norm's input; then what the Linear reads.

        A norm within the last block can have given the same, if the block is still an identity.
        """
        read = self.read[0]
        given = {name: value for name, key, value in self.trace.tensors if key is None}
        for name, before in reversed(self.trace.inputs):
            if isinstance(self.modules[name], NORMS) and before.shape[0] == len(read) and name in given:
                after = given[name]
                if before.numel() == after.numel() == read.numel() and _equal(after.flatten(1), read):
                    yield name, before.flatten(1)
        yield None, read

    def _means(self, pooled: Tensor) -> Iterator[Place]:
        """Feature maps whose mean is read."""
        width = pooled.shape[1]
        for module, key, value in reversed(self.trace.tensors):
            if len(value) != self.batch:
                continue
            if value.ndim == 4 and value[0].numel() > width:
                if value.shape[1] == width and close(value.mean(dim=(2, 3)), pooled):
                    yield Place(module, key, "channels first")
                elif value.shape[3] == width and close(value.mean(dim=(1, 2)), pooled):
                    yield Place(module, key, "channels last")
            elif (
                value.ndim == 3
                and value.shape[2] == width
                and (prefix := self._left_out(value, pooled)) is not None
            ):
                yield self._in_order(Place(module, key, "tokens", prefix), value.shape[1], changes(value))

    def _left_out(self, value: Tensor, pooled: Tensor) -> int | None:
        """How many first tokens are not in the mean that is read; None if no such mean is.

        In half precision one token of many makes no difference. So those that leave a grid come first.
        """
        found = []
        for prefix in range(min(MOST_PREFIX, value.shape[1] - 1)):
            mean = value[:, prefix:].mean(dim=1)
            if close(mean, pooled):
                grid = grid_of(self.trace.size, value.shape[1] - prefix, self.trace.convolved)
                found.append((grid is None, float((mean - pooled).abs().max()), prefix))
        return min(found)[2] if found else None

    def _class_tokens(
        self, pooled: Tensor, same: Callable[[Tensor, Tensor], bool]
    ) -> Iterator[tuple[Place, int]]:
        """Sequences whose first tokens are read, each by its Linear, and how many tokens they have."""
        for module, key, value in reversed(self.trace.tensors):
            if value.ndim != 3 or len(value) != self.batch:
                continue
            count, width = value.shape[1], value.shape[2]
            grid = next(
                (grid for grid in reversed(self.trace.convolved) if 0 < count - _cells(grid) <= MOST_PREFIX),
                None,
            )
            read = [pooled, *self.read[1:]]
            if grid is None or count - _cells(grid) < len(read):
                continue
            prefix = count - _cells(grid)
            if read[0].shape[1] not in (width, 2 * width):
                continue
            mean = read[0][:, width:]  # of the other tokens, which DINOv2's Linear reads too
            if mean.shape[1] and not close(mean, value[:, prefix:].mean(dim=1)):
                continue
            if all(same(one[:, :width], value[:, at]) for at, one in enumerate(read)):
                place = Place(module, key, "tokens", prefix)
                yield self._in_order(place, count, changes(value)), count

    def _in_order(self, place: Place, count: int, *own: Tensor) -> Place:
        """A place with its grid, if its tokens are in the order of the image's rows.

        Args:
            place: Where the tokens are.
            count: How many they are, with the first ones.
            own: Their `changes`. Without it, those of earlier layers tell.
        """
        tokens, module = count - place.prefix, place.module
        grid = grid_of(self.trace.size, tokens, self.trace.convolved)
        if grid is None:
            raise NoReadout(f"its {tokens} tokens ({module}) are of no known grid")
        earlier = (each for each in reversed(self.trace.changed) if each.shape[1] in (count, tokens))
        found = in_order(
            (each[:, -tokens:] for each in (*own, *earlier)), grid.shape(self.trace.size, tokens)
        )
        if found is None:
            raise NoReadout(
                f"it cannot be told where in the image its tokens ({module}) are: a change of a region shows "
                "in all of them alike"
            )
        if not found:
            raise NoReadout(
                f"its tokens ({module}) are not in the order of the image's rows: a change of a region shows "
                "in tokens of others"
            )
        return place._replace(grid=grid)

    def _calls(self, tokens: int) -> tuple[Call, ...]:
        """The calls of fused attention in which the class tokens ask all tokens."""
        calls = tuple(call for call in self.trace.calls if call.keys == tokens)
        return calls if all(calls.count(call) == 1 and call.plain for call in calls) else ()

    def _attention_pooling(self, norm: str | None, pooled: Tensor) -> Readout | None:
        """Attention of a learned query over the tokens, whose result is read."""
        given = [name for name, _, value in self.trace.tensors if value.shape == pooled.shape]
        for call in reversed(self.trace.calls):
            if call.queries != 1 or not call.plain:
                continue
            parents = [name for name in given if name and call.module.startswith(name)]
            values = {name: value for name, _, value in self.trace.tensors if name in parents}
            if not any(close(value, pooled) for value in values.values()):
                continue
            for grid in reversed(self.trace.convolved):
                prefix = call.keys - _cells(grid)
                if 0 <= prefix <= MOST_PREFIX:
                    place = self._in_order(Place(call.module, None, "tokens", prefix), call.keys)
                    return Readout("attention pooling", place, self.heads[0], norm, 1, (call,))
        return None

    def _reason(self) -> str:
        """Why nothing fits."""
        last = max((at for at, (_, spatial) in enumerate(self.trace.last) if spatial), default=-1)
        between = [
            f"{name} ({type(self.modules[name]).__name__})"
            for name, _ in self.trace.last[last + 1 :]
            if not isinstance(self.modules[name], SILENT) and name not in self.heads
        ]
        if len(self.heads) > 1:
            return (
                f"its logits are the mean of {' and '.join(self.heads)}, which do not read the class tokens"
            )
        reads = "its last Linear reads neither the mean of a feature map nor a CLS token"
        return f"{reads}: before it come {few(between)}" if between else reads


def _cells(grid: Size) -> int:
    return grid[0] * grid[1]
