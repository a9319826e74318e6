"""What FSDP and DeepSpeed, which cut a model's weights or its optimizer into parts, do not go with."""

from typing import Any

from luab_trainer.hub.checkpoint import require_whole_checkpoints
from luab_trainer.lora import is_adapted


def check_sharding(trainer: Any) -> None:
    """Checks that a run in parts can do what its arguments ask for.

    Args:
        trainer: A `LUABTrainer` with its model.

    Raises:
        ValueError: it cannot, or it would not write plain checkpoints.
    """
    if trainer.is_fsdp_enabled:
        require_whole_checkpoints(trainer.accelerator.state.fsdp_plugin)
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return
    plain = "Take configs/accelerate/multi-gpu.yaml."
    if is_adapted(trainer.luab.model):
        raise ValueError(
            "an adapter (LoRA) does not go with FSDP and DeepSpeed: a checkpoint has it merged into whole "
            f"weights. {plain}"
        )
    if not trainer.args.do_train:
        return
    if trainer.args.ema_decay is not None:
        raise ValueError(
            f"--ema_decay {trainer.args.ema_decay:g} does not go with FSDP and DeepSpeed: the average is of "
            f"whole weights. {plain}"
        )
    if trainer.args.lamb:
        raise ValueError(
            f"--lamb does not go with FSDP and DeepSpeed: its steps go by the norms of whole weights. {plain}"
        )
    if trainer.args.layer_decay is not None and trainer.is_deepspeed_enabled:
        raise ValueError(
            f"--layer_decay {trainer.args.layer_decay:g} does not go with DeepSpeed, whose optimizer has its "
            f"own groups. {plain}"
        )
