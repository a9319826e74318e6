"""Where bfloat16 is slower than float32."""

from torch.backends.cpu import get_cpu_capability

SLOW = (
    "this CPU, which has no AVX-512, computes in bfloat16 by detours, many times slower than in float32; "
    "leave it out"
)


def slow_in_bf16(device: str) -> bool:
    """Whether mixed precision in bfloat16 slows a device down. `device`: cpu, cuda:0."""
    return device == "cpu" and get_cpu_capability() == "AVX2"
