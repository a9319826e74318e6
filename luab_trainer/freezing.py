"""Frozen parts of a classifier: `--freeze backbone`, `--freeze N`, and what frozen means.

A frozen parameter gets no gradient. The largest parts whose parameters are all frozen run as in an
evaluation: batch normalization keeps its running statistics, dropout and drop path are off. The features that
they compute are so those of the checkpoint.
"""

from collections.abc import Iterator

from torch import nn

from luab_trainer.depth import depth_of, head_parameters

BACKBONE = "backbone"


def freeze(model: nn.Module, what: str) -> None:
    """Freezes a part of a classifier.

    Args:
        model: A transformers classifier.
        what: "backbone" freezes everything but the head. A number N freezes the stem and the first N blocks,
            or stages, of the stack; see `luab_trainer.depth`.

    Raises:
        ValueError: the model has fewer blocks, or they are not in one list.
    """
    if what == BACKBONE:
        try:
            head = {id(parameter) for parameter in head_parameters(model)}
        except ValueError as error:
            raise ValueError(f"--freeze {what}: {error} Take another model, or freeze N blocks.") from error
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in head)
        return
    try:
        depth = depth_of(model)
    except ValueError as error:
        raise ValueError(f"--freeze {what}: {error} Take --freeze {BACKBONE}.") from error
    there = len(depth.stages) - 2
    if int(what) > there:
        raise ValueError(
            f"--freeze {what}: {type(model).__name__} has {there} {depth.unit} ({depth.name}). Give 0 (its "
            f"stem alone) to {there}, or {BACKBONE}."
        )
    frozen = [parameter for part in depth.stages[: int(what) + 1] for parameter in part]
    if not frozen:
        raise ValueError(
            f"--freeze {what}: nothing of {type(model).__name__} comes before {depth.name}. Give 1 or more."
        )
    for parameter in frozen:
        parameter.requires_grad_(False)


def frozen_text(model: nn.Module, what: str) -> str:
    """What `freeze` has frozen, in words."""
    if what == BACKBONE:
        return "the backbone; only the head is trained"
    depth = depth_of(model)
    stem = f"the stem and the first {what} of {len(depth.stages) - 2} {depth.unit} ({depth.name})"
    return stem if int(what) else f"the stem (what comes before {depth.name})"


def frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts of a module that have parameters, all of them frozen."""
    for child in module.children():
        parameters = list(child.parameters())
        if not parameters:
            continue
        if not any(parameter.requires_grad for parameter in parameters):
            yield child
        else:
            yield from frozen_parts(child)
