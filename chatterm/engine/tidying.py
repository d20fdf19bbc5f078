"""Memory that is not needed any more goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_back_memory() -> None:
    """What was needed for a moment goes back, where the C library can do that; cycles with it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
