"""How fast a model that is not loaded would decode: from what this machine's memory was measured to give.

Decoding one token reads every weight once, so the bytes that a step reads, divided by the bytes per second
that a product of weights and vector reached here, is the most that can be had. Nothing here imports torch:
what was measured when a model was first loaded is read from the cache folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from chatterm import paths

MAX_BYTES = 1 << 16
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


class _Measured(msgspec.Struct):
    """What is needed of `chatterm.model.tuning.Tuning`."""

    threads: int
    multiply: dict[int, float]  # threads → GB/s
    stream: float  # GB/s


def bandwidth() -> tuple[float | None, Literal["", "gpu", "unmeasured"]]:
    """Bytes per second at which a decode step reads weights here; else None, and why nothing is known."""
    if any(device.exists() for device in GPU_DEVICES) or (sys.platform == "darwin" and _is_apple_silicon()):
        return None, "gpu"
    file = paths.cache_folder() / "tuning.json"
    try:
        measured = msgspec.json.decode(paths.first_bytes(file, MAX_BYTES), type=_Measured)
    except (OSError, msgspec.MsgspecError):
        return None, "unmeasured"
    if measured.threads > (os.cpu_count() or 1):
        return None, "unmeasured"  # the folder was filled by another machine
    rate = measured.multiply.get(measured.threads) or measured.stream
    return (rate * 1e9, "") if 0 < rate < 1e5 else (None, "unmeasured")


def _is_apple_silicon() -> bool:
    return os.uname().machine == "arm64"
