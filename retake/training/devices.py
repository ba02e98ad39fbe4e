"""Settings of torch that every job with a network shares."""

import os

import torch

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def deterministic() -> None:
    """Same inputs, same machine, same thread count: the same bits."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # the other call that does it imports the compiler: seconds
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context of a forward pass in fp32, bf16 or fp16."""
    dtype = AUTOCAST[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
