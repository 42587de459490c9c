"""In what numbers a device computes fast: bfloat16 where it has it, else float32.

A CPU without bfloat16 instructions computes such convolutions all the same, many times more slowly
than in float32.
"""

import torch


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU and on a CPU with instructions for it; elsewhere float32."""
    if device.type != "cpu":
        return torch.bfloat16
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """A context in which networks compute in `fast_dtype`."""
    dtype = fast_dtype(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
