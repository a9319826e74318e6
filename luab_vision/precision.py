"""Where bfloat16 is slower than float32."""

import torch

SLOW = (
    "this CPU, which has neither AVX-512 BF16 nor AMX, computes in bfloat16 by detours, several times slower "
    "than in float32; leave it out"
)
X86 = ("AVX2", "AVX512")


def slow_in_bf16(device: str) -> bool:
    """Whether mixed precision in bfloat16 slows a device down. `device`: cpu, cuda:0."""
    if device != "cpu" or torch.backends.cpu.get_cpu_capability() not in X86:
        return False
    return not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
