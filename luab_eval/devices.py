"""What a device can do."""

from __future__ import annotations

import torch

from luab_vision.compiling import require_compiler


def check_device(device: str, bf16: bool = False, compiled: bool = False) -> None:
    """Reject what a device does not support, before a model is loaded.

    Raises:
        ValueError: names the option and the fix.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"--device {device}: give cpu, cuda, cuda:1 or mps") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {device}: torch finds no such GPU; give cpu, or leave it out")
    if bf16 and kind not in ("cpu", "cuda"):
        raise ValueError(f"--bf16 is for cpu and cuda, and --device is {device}; leave it out")
    if bf16 and kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError("--bf16 needs a GPU that computes in it (Ampere or newer); leave it out")
    if compiled:
        require_compiler("--compile", on_cpu=kind == "cpu")
