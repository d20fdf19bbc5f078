"""How many threads torch computes with for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute alone.

    For work that takes less time than waking another thread, and beside the native operator, whose own
    threads do the large products: torch's would wait for each other at every small operation, for
    milliseconds on a busy machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
