"""The engine's inbox: a thread reads the pipe, the model's thread takes what it can answer now."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from chatterm.engine import wire
from chatterm.engine.messages import AnyRequest, SetSampling, Shutdown, Stop
from chatterm.sampling import SamplingParameters


class Inbox:
    """Requests in the order in which they came.

    `Stop` and `SetSampling` never wait in line: they are noted as they arrive, for `stopped` and `steering`.
    When the pipe closes the process ends at once: whoever held the other end is gone.
    """

    def __init__(self, stream: BinaryIO, on_end: Callable[[], None] = lambda: os._exit(0)) -> None:
        """Begin to read `stream` in a thread of its own."""
        self._stream = stream
        self._on_end = on_end
        self._requests: deque[AnyRequest] = deque()
        self._stopped: set[int] = set()
        self._steering: dict[int, SamplingParameters] = {}
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> AnyRequest:
        """Wait for the next request."""
        with self._arrived:
            while not self._requests:
                self._arrived.wait()
            return self._requests.popleft()

    def take(self, answerable: Callable[[AnyRequest], bool]) -> AnyRequest | None:
        """The first request that can be answered now, without waiting; the others keep their order."""
        if not self._requests:
            return None
        with self._arrived:
            for index, request in enumerate(self._requests):
                if answerable(request):
                    del self._requests[index]
                    return request
        return None

    def stopped(self, request: int) -> bool:
        """Whether the client has asked to stop this request."""
        return request in self._stopped

    def steering(self, request: int) -> SamplingParameters | None:
        """New parameters for this request since the last call; the latest win."""
        return self._steering.pop(request, None) if self._steering else None

    def forget(self, request: int) -> None:
        """This request is closed; nothing about it matters any more."""
        self._stopped.discard(request)
        self._steering.pop(request, None)

    def _read(self) -> None:
        try:
            self._take_in()
        except Exception:
            traceback.print_exc()
        finally:  # a worker that hears nothing any more, for want of memory say, must not live on
            self._on_end()

    def _take_in(self) -> None:
        while (request := self._read_request()) is not None:
            with self._arrived:
                match request:
                    case Stop():
                        self._stopped.add(request.request)
                    case SetSampling():
                        self._steering[request.request] = request.sampling
                    case _:
                        self._requests.append(request)
                        self._arrived.notify()
            if isinstance(request, Shutdown):
                break

    def _read_request(self) -> AnyRequest | None:
        header = self._stream.read(wire.HEADER_BYTES)
        if len(header) < wire.HEADER_BYTES:
            return None
        try:
            return wire.request_decoder.decode(self._stream.read(wire.body_length(header)))
        except (wire.BrokenFrameError, msgspec.DecodeError) as error:
            print(f"unreadable request: {error}", file=sys.stderr)
            return None
