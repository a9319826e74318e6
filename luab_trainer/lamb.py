"""LAMB (You et al., ICLR 2020): Adam's steps, scaled to the norm of the weight that they change.

    w <- w - learning rate * |w| / |u| * u,   u = Adam's step + weight decay * w

The optimizer is timm's, with the groups of `Trainer`: weights without decay, such as biases, get Adam's step
as it is. By default timm's clips the gradient itself, to a norm of 1. Here `--max_grad_norm` does that, whose
default is 1 too.
"""

from typing import Any

from torch.optim import Optimizer
from transformers.training_args import OptimizerNames

from luab_data.console.missing import require_extra


def lamb(args: Any) -> tuple[type[Optimizer], dict[str, Any]]:
    """The optimizer's class and what it is made with, besides the groups of weights and their decay.

    Args:
        args: A `LUABConfig`.
    """
    from timm.optim import Lamb

    betas = (args.adam_beta1, args.adam_beta2)
    return Lamb, {
        "lr": args.learning_rate, "betas": betas, "eps": args.adam_epsilon, "max_grad_norm": None,
    }  # fmt: skip


def check_lamb(args: Any) -> None:
    """Checks that a `LUABConfig` with `--lamb` asks for nothing that LAMB does not have.

    Raises:
        ValueError: names the option, its value and the fix.
        SourceError: timm is not installed.
    """
    if not args.lamb:
        return
    name, default = (OptimizerNames(optim).value for optim in (args.optim, type(args).optim))
    if name != default:
        raise ValueError(f"--lamb does not go with --optim {name}: a run has one optimizer; leave one out.")
    for option in ("optim_args", "optim_target_modules"):
        if value := getattr(args, option):
            raise ValueError(f"--{option} {value} does nothing with --lamb; leave it out.")
    if not args.weight_decay:
        raise ValueError(
            "--lamb needs a --weight_decay above 0, such as 0.02: timm's scales no step of a weight without "
            "decay, and would be Adam."
        )
    if args.do_train:
        require_extra("timm", "--lamb")
