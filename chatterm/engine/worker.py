"""The engine process: reads requests from its standard input, writes events to its standard output.

torch is imported when the first checkpoint is loaded, so looking for checkpoints and cutting text into tokens
stay quick.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from chatterm.checkpoint import alarm
from chatterm.engine import wire
from chatterm.engine.inbox import Inbox
from chatterm.engine.messages import (
    PROTOCOL_VERSION,
    AnyEvent,
    AnyRequest,
    Bench,
    Check,
    Describe,
    Discover,
    Examine,
    Failed,
    Fetch,
    Finished,
    Generate,
    Hello,
    Inspect,
    Inspected,
    Load,
    Loaded,
    Predict,
    Progress,
    Render,
    SetSampling,
    Shutdown,
    Stop,
    Tokenize,
)
from chatterm.engine.tidying import give_back_memory
from chatterm.errors import UserError
from chatterm.records.supply import Delete, Discard, LookAtHub, SearchHub, Verify

if TYPE_CHECKING:
    from chatterm.engine.session import Session

PROGRESS_SECONDS = 0.05
"""Progress is sent at most this often."""


class Worker:
    """Takes one request after another; between the tokens of a reply, those that can be answered at once."""

    def __init__(self, inbox: Inbox, output: BinaryIO) -> None:
        """Answer what comes into `inbox` on `output`."""
        self._inbox = inbox
        self._output = output
        self._session: Session | None = None

    def send(self, event: AnyEvent) -> None:
        """Write one event."""
        frame = wire.frame(event)
        try:
            self._output.write(frame)
            self._output.flush()
        except BaseException:
            # Part of a frame may be on its way: nothing that follows would be understood.
            traceback.print_exc()
            os._exit(1)

    def run(self) -> None:
        """Answer requests until the client leaves."""
        self.send(Hello(version=PROTOCOL_VERSION, pid=os.getpid()))
        while True:
            self._answer(self._inbox.next())

    def _answer(self, request: AnyRequest) -> None:
        try:
            self._handle(request)
        except Exception as error:
            self._fail(request.request, error)
        finally:
            self._inbox.forget(request.request)
            if isinstance(request, Load) and self._session is None:
                give_back_memory()  # of the weights that were loaded before it failed or was stopped

    def _fail(self, request: int, error: Exception) -> None:
        """Close a request that could not be answered."""
        if isinstance(error, UserError):
            sentence = error.sentence
        elif isinstance(error, MemoryError):
            sentence = _NO_MEMORY
        else:
            traceback.print_exception(error)
            said = str(error)
            out_of_memory = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in said
            unexpected = UserError(f"Unexpected {type(error).__name__} in the engine: {said}").sentence
            sentence = _NO_MEMORY if out_of_memory else unexpected
        self.send(Failed(request=request, sentence=sentence))

    def _handle(self, request: AnyRequest) -> None:
        match request:
            case Load():
                self._load(request)
            case Generate():
                self._generate(request)
            case Predict():
                stopped = lambda: self._inbox.stopped(request.request)  # noqa: E731
                self.send(self._loaded().predict(request, stopped))
            case Inspect():
                stopped = lambda: self._inbox.stopped(request.request)  # noqa: E731
                answer = self._loaded().inspect(request.question, stopped)
                self.send(Inspected(request=request.request, answer=answer))
            case Tokenize() | Render():
                self._text(request)
            case Discover() | Fetch() | Describe() | Check():
                self._checkpoints(request)
            case SearchHub() | LookAtHub() | Verify() | Delete() | Discard():
                from chatterm.engine import supplying

                supplying.answer(request, self.send, lambda: self._inbox.stopped(request.request))
            case Examine():
                from chatterm.engine.machine import examine

                self.send(examine(request))
            case Bench():
                from chatterm.engine.bench import Measurement

                stopped = lambda: self._inbox.stopped(request.request)  # noqa: E731
                self.send(Measurement(self._loaded(), request, self.send, stopped).run())
            case Stop() | SetSampling() | Shutdown():
                pass  # the inbox sees to them

    def _loaded(self) -> Session:
        if self._session is None:
            raise UserError("No model is loaded; choose one first.")
        return self._session

    def _load(self, request: Load) -> None:
        from chatterm.engine.session import Session

        if not gc.get_freeze_count():
            gc.freeze()  # what the imports made stays; looking for garbage in it takes longer than a load
        self._session = None  # never two models in memory
        progress = _Throttle()

        def on_progress(done: int, total: int) -> None:
            if self._inbox.stopped(request.request):
                raise UserError("Loading was stopped.")
            if progress.due(done == total):
                self.send(
                    Progress(request=request.request, what="loading", done=done, total=total, unit="tensors")
                )

        self._session = Session(Path(request.path), request.options, on_progress)
        self.send(Loaded(request=request.request, info=self._session.info))

    def _generate(self, request: Generate) -> None:
        from chatterm.engine.inspecting import can_answer_now
        from chatterm.engine.reply import Control, Joining, ReplyWriter, alike

        session = self._loaded()

        def answerable(waiting: AnyRequest) -> bool:
            match waiting:
                case Predict():
                    return session.can_predict_now(waiting)
                case Inspect():
                    return can_answer_now(session, waiting.question)
                case _:
                    return isinstance(waiting, Tokenize | Render)

        def control(of: Generate) -> Control:
            def stopped() -> bool:
                while (waiting := self._inbox.take(answerable)) is not None:
                    self._answer(waiting)
                return self._inbox.stopped(of.request)

            return Control(stopped, lambda: self._inbox.steering(of.request))

        unfinished = [request.request]

        def waiting() -> Joining | None:
            other = self._inbox.take(lambda other: isinstance(other, Generate) and alike(request, other))
            if not isinstance(other, Generate):
                return None
            unfinished.append(other.request)
            return Joining(other, control(other))

        def send(event: AnyEvent) -> None:
            self.send(event)
            if isinstance(event, Finished):
                unfinished.remove(event.request)
                self._inbox.forget(event.request)

        try:
            ReplyWriter(session, request, send, control(request), waiting).write()
        except Exception as error:
            for each in unfinished:  # they were written together, and none of them can go on
                self._fail(each, error)
                self._inbox.forget(each)

    def _text(self, request: Tokenize | Render) -> None:
        from chatterm.engine import texts

        if isinstance(request, Render):
            self.send(texts.rendered(request, self._loaded().tokenizer, self._loaded().template))
        elif request.path is not None:
            self.send(texts.tokenized(request, texts.tokenizer_of(request.path)))
        else:
            self.send(texts.tokenized(request, self._loaded().tokenizer))

    def _checkpoints(self, request: Discover | Fetch | Describe | Check) -> None:
        from chatterm.engine import checkpoints

        stopped = lambda: self._inbox.stopped(request.request)  # noqa: E731
        checkpoints.answer(request, self.send, stopped)


class _Throttle:
    def __init__(self) -> None:
        self._last = 0.0

    def due(self, last: bool) -> bool:
        now = time.monotonic()
        if not last and now - self._last < PROGRESS_SECONDS:
            return False
        self._last = now
        return True


_NO_MEMORY = "There is not enough memory for this; a smaller model, quantisation or context may fit."


def main() -> None:
    """Run the engine on this process's standard input and output."""
    # Threads that spin for long between operations bring a busy machine to its knees; torch reads this once.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between the frames
    alarm.arm()
    os.umask(0o077)  # also what a compiler or pip writes for us is the user's alone
    threading.current_thread().name = "model"
    try:
        Worker(Inbox(sys.stdin.buffer), output).run()
    finally:
        # Only an error leads here. The inbox waits in a read that Python, ending by itself, would wait for.
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
