"""Layer-wise learning rates: each block of the classifier has `decay` times the rate of the next one.

    rate of depth d = learning rate * decay ** (blocks + 1 - d)

The stem is depth 0, the blocks are 1 to `blocks`, and what follows them (last norm, head) has the full rate,
as have the heads of the byproduct losses. As in BEiT (Bao et al., ICLR 2022, appendix H), after ELECTRA
(Clark et al., ICLR 2020, appendix A). `luab_trainer.depth` says what a block is.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from luab_trainer.depth import depth_of


def scales(model: nn.Module, decay: float) -> dict[int, float]:
    """The share of the learning rate that each parameter of a classifier gets, by the parameter's id.

    Raises:
        ValueError: the blocks of the model are not in one list.
    """
    blocks = depth_of(model).blocks
    last = len(blocks) - 1
    return {
        id(parameter): decay ** (last - number) for number, part in enumerate(blocks) for parameter in part
    }


def decay_by_depth(optimizer: Optimizer, share: dict[int, float]) -> None:
    """Splits the optimizer's groups by the share of the learning rate that their parameters get.

    Everything else of a group stays, such as whether its weights decay. The first group has the full rate,
    which is the one that `Trainer` logs.

    Args:
        optimizer: A new one, before its schedule is made.
        share: See `scales`; a parameter that is not in it has the full rate.
    """
    split: list[tuple[float, dict[str, Any]]] = []
    for group in optimizer.param_groups:
        by_share: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_share.setdefault(share.get(id(parameter), 1.0), []).append(parameter)
        for of, parameters in by_share.items():
            split.append((of, {**group, "params": parameters, "lr": group["lr"] * of}))
    split.sort(key=lambda one: -one[0])  # stable: the same order in a resumed run
    optimizer.param_groups[:] = [group for _, group in split]


def check_layer_decay(trainer: Any) -> None:
    """Checks that the rates of `--layer_decay` will be those of the model.

    Args:
        trainer: A `LUABTrainer` with its model.

    Raises:
        ValueError: they will not, or all that is trained has one rate.
    """
    args: Any = trainer.args
    if args.layer_decay is None:
        return
    try:
        share = scales(trainer.luab.model, args.layer_decay)
    except ValueError as error:
        raise ValueError(f"--layer_decay {args.layer_decay:g}: {error} Leave it out.") from error
    trained = {share[id(each)] for each in trainer.luab.model.parameters() if each.requires_grad}
    if args.layer_decay < 1 and trained == {1.0}:
        raise ValueError(
            f"layer_decay={args.layer_decay:g} does nothing: only what follows the last block is trained, at "
            "the full rate. Leave it out, or freeze fewer blocks."
        )


def check_own_optimizer(args: Any, given: Mapping[str, Any]) -> None:
    """Checks that an optimizer of the user's own is not to be another one by the arguments.

    Args:
        args: A `LUABConfig`.
        given: The arguments of `Trainer` that the user gave.

    Raises:
        ValueError: it is.
    """
    own = [name for name in ("optimizers", "optimizer_cls_and_kwargs") if given.get(name)]
    if not own or given[own[0]] == (None, None):
        return
    if args.layer_decay is not None:
        raise ValueError(f"layer_decay={args.layer_decay:g} does not go with {own[0]}: set the rates there.")
    if args.lamb:
        raise ValueError(f"lamb=True does not go with {own[0]}, an optimizer of your own; leave one out.")
