"""Where bfloat16 is slower than float32."""

import torch

SLOW = (
    "this CPU, which has neither AVX-512 BF16 nor AMX, computes in bfloat16 by detours, several times slower "
    "than in float32; leave it out"
)
X86 = ("AVX2", "AVX512")
FAST = ("avx512_bf16", "amx_bf16")


def slow_in_bf16(device: str) -> bool:
    """Whether mixed precision in bfloat16 slows a device down. `device`: cpu, cuda:0."""
    level = torch.backends.cpu.get_cpu_capability()
    if device != "cpu" or level not in X86:
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # older than torch 2.13, which only says the level
        return level == "AVX2"
    return not any(torch.cpu.get_capabilities().get(name) for name in FAST)
