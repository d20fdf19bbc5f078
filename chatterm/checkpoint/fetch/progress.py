"""How far a download is, how fast it goes and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from chatterm.errors import UserError


@dataclass(frozen=True)
class FetchProgress:
    """One report. Sizes in bytes, speed in bytes per second, times in seconds; None where nobody knows."""

    what: str  # "downloading model.safetensors", "checking model.safetensors" …
    done: int
    total: int | None
    per_second: float | None = None
    remaining: float | None = None


Report = Callable[[FetchProgress], None]
Cancel = Callable[[], bool]


class FetchStoppedError(UserError):
    """The person stopped the download."""

    def __init__(self) -> None:
        super().__init__(
            "The download was stopped; what has come so far is kept, and the next one goes on from there."
        )


class Meter:
    """Turns byte counts into reports, a few each second, and asks between them whether to stop.

    The speed is that of the last few seconds, so that it follows what the network does now.
    """

    WINDOW = 5.0
    INTERVAL = 0.1

    def __init__(
        self,
        report: Report | None = None,
        cancel: Cancel | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._cancel = cancel
        self._clock = clock
        self._what = ""
        self._done = 0
        self._total: int | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._reported = float("-inf")

    def begin(self, what: str, total: int | None, done: int = 0) -> None:
        """Start counting something of `total` bytes, `done` of which are there already."""
        self._what, self._total, self._done = what, total, done
        self._samples.clear()
        self._samples.append((self._clock(), done))
        self._send()

    def rename(self, what: str) -> None:
        """Say what is being done now, the count going on."""
        self._what = what
        self._send()

    def advance(self, to: int) -> None:
        """`to` bytes are done now; fewer than before where a part has to come again.

        Raises:
            FetchStoppedError: the person wants to stop.
        """
        self.check()
        now = self._clock()
        if to < self._done:
            self._samples.clear()
        self._done = to
        self._samples.append((now, to))
        while len(self._samples) > 2 and self._samples[0][0] < now - self.WINDOW:
            self._samples.popleft()
        if now - self._reported >= self.INTERVAL or to == self._total:
            self._send()

    def check(self) -> None:
        """Raise `FetchStoppedError` if the person wants to stop."""
        if self._cancel is not None and self._cancel():
            raise FetchStoppedError

    @property
    def done(self) -> int:
        """Bytes done."""
        return self._done

    def _send(self) -> None:
        self._reported = self._clock()
        if self._report is not None:
            speed = self._speed()
            left = None if self._total is None else max(self._total - self._done, 0)
            remaining = left / speed if speed and left is not None else None
            self._report(FetchProgress(self._what, self._done, self._total, speed, remaining))

    def _speed(self) -> float | None:
        if len(self._samples) < 2:
            return None
        (first, start), (last, end) = self._samples[0], self._samples[-1]
        return (end - start) / (last - first) if last - first >= self.INTERVAL and end > start else None
