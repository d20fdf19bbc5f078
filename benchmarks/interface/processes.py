"""What a process and those that it has started have used so far, in nanoseconds where they are counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Used:
    """Since they were started.

    Attributes:
        seconds: of one processor.
        woken: how often a thread of theirs gave the processor back to wait for something.
    """

    seconds: float
    woken: int


def used(pid: int) -> Used:
    """By the process and all below it that are still there."""
    root = psutil.Process(pid)
    seconds, woken = 0.0, 0
    for process in (root, *root.children(recursive=True)):
        seconds += _seconds(process)
        woken += _woken(process)
    return Used(seconds, woken)


def _seconds(process: psutil.Process) -> float:
    """`schedstat` counts nanoseconds; elsewhere the system's ticks of some milliseconds have to do."""
    try:
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)


def _woken(process: psutil.Process) -> int:
    try:
        statuses = [(task / "status").read_text() for task in Path(f"/proc/{process.pid}/task").iterdir()]
    except OSError:
        return int(process.num_ctx_switches().voluntary)
    marks = [line.split() for status in statuses for line in status.splitlines()]
    return sum(int(words[1]) for words in marks if words[0] == "voluntary_ctxt_switches:")
