"""Which arithmetic pays on this machine."""

from functools import cache
from pathlib import Path

import torch

_FAST_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


@cache
def fast_bf16_available() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware (AMX or AVX-512 BF16); emulation is slower than fp32."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "")
        return bool(_FAST_BF16_FLAGS & set(flags.split()))
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def choose_precision(wanted: str, accelerator: str, layers_are_fused: bool = False) -> str:
    """The precision flag for Lightning's Trainer.

    Args:
        wanted: a Lightning precision flag, or ``auto``.
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        layers_are_fused: the encoder's layers do their own bf16 (see :func:`layer_dtype`), so that autocast would
            only add its overhead to what is left.
    """
    if accelerator == "cpu":
        if wanted == "auto":
            return "bf16-mixed" if fast_bf16_available() and not layers_are_fused else "32-true"
        return "32-true" if wanted == "bf16-mixed" and layers_are_fused else wanted
    if wanted != "auto":
        return wanted
    if accelerator in ("cuda", "gpu"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "32-true"


def layer_dtype(wanted: str) -> torch.dtype | None:
    """The dtype of fused layers on a CPU for a Lightning precision flag or ``auto``; None: leave the layers alone."""
    if wanted == "bf16-mixed" or (wanted == "auto" and fast_bf16_available()):
        return torch.bfloat16
    return torch.float32 if wanted in ("auto", "32", "32-true") else None
