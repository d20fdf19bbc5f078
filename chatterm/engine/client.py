"""The interface's side of the process boundary: an engine to await.

`EngineProcess` is the `Engine` (`chatterm.engine.protocol`) that runs on this machine. Nothing here imports
torch, and nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import IO, ClassVar, Self, TypeVar, cast

import msgspec

from chatterm.engine import ending, wire
from chatterm.engine.messages import (
    PROTOCOL_VERSION,
    AnyEvent,
    AnyRequest,
    Bench,
    Benched,
    Check,
    Checked,
    Closing,
    Describe,
    Described,
    Discover,
    Discovered,
    Examine,
    Examined,
    Failed,
    Fetch,
    Fetched,
    Generate,
    Hello,
    Inspect,
    Inspected,
    Load,
    Loaded,
    LoadOptions,
    Predict,
    Predicted,
    Progress,
    Render,
    Rendered,
    SetSampling,
    Shutdown,
    Stop,
    Tokenize,
    Tokenized,
)
from chatterm.engine.protocol import EngineDiedError, EngineError, OnProgress, Reply, ReplyEvent
from chatterm.language import _
from chatterm.records.generation import Chat, ControlSpan, ModelInfo, Prompt, Tokens
from chatterm.records.inspection import AnyQuestion, Question
from chatterm.records.supply import (
    Delete,
    Deleted,
    Discard,
    Format,
    HubOffered,
    HubSearched,
    LookAtHub,
    SearchHub,
    Verified,
    Verify,
)
from chatterm.sampling import SamplingParameters

DEFAULT_OPTIONS = LoadOptions()
SHUTDOWN_SECONDS = 2.0

_Answer = TypeVar("_Answer", bound=AnyEvent)
_A = TypeVar("_A")


class EngineProcess:
    """An engine in a process of its own, on this machine. Use `await EngineProcess.start()`."""

    # -P: a module that lies in the folder that one is in must not be taken for one of ours
    COMMAND: ClassVar[tuple[str, ...]] = (sys.executable, "-P", "-m", "chatterm.engine.worker")

    def __init__(self, process: asyncio.subprocess.Process, stderr: IO[bytes] | None) -> None:
        self._process = process
        self._stderr = stderr
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[AnyEvent | EngineDiedError]] = {}
        self._died: EngineDiedError | None = None
        self._closing = False
        self._reader: asyncio.Task[None] | None = None
        self.info: ModelInfo | None = None

    @classmethod
    async def start(cls) -> Self:
        """Spawn the engine and wait for its first word.

        Raises:
            EngineDiedError: it could not be started or speaks another version.
        """
        stderr = ending.place_for_words()
        try:
            process = await asyncio.create_subprocess_exec(
                *cls.COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr or asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl+C is the client's business
                limit=1 << 22,
            )
        except BaseException as error:
            if stderr is not None:
                stderr.close()
            if not isinstance(error, OSError):
                raise
            # no memory or number for another process, no file left to open, or no such program any more
            sentence = _("The engine could not be started ({error}).")
            raise EngineDiedError(sentence.format(error=error.strerror or error)) from error
        engine = cls(process, stderr)
        try:
            hello = await engine._read_event()
        except asyncio.CancelledError:
            await engine.close()
            raise
        if hello is None:
            await engine._raise_if_killed()
        if not isinstance(hello, Hello) or hello.version != PROTOCOL_VERSION:
            sentence = "The engine did not start" if hello is None else "The engine is of another version"
            reason = ending.last_words(stderr)
            await engine.close()
            raise EngineDiedError(f"{sentence}{f': {reason}' if reason else ''}. Reinstall chatterm.")
        engine._reader = asyncio.create_task(engine._read())
        return engine

    async def _raise_if_killed(self) -> None:
        """Say of an engine that fell silent before its first word what ended it, if it was a signal."""
        with contextlib.suppress(TimeoutError):
            status = await asyncio.wait_for(self._process.wait(), SHUTDOWN_SECONDS)
            if status < 0:
                await self.close()
                raise EngineDiedError(ending.obituary(status, ""))

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be asked something."""
        return self._died is None and not self._closing and self._process.returncode is None

    async def load(
        self, path: str, options: LoadOptions = DEFAULT_OPTIONS, on_progress: OnProgress | None = None
    ) -> ModelInfo:
        """Load a checkpoint."""
        request = Load(request=next(self._numbers), path=path, options=options)
        self.info = (await self._ask(request, Loaded, on_progress)).info
        return self.info

    def generate(
        self,
        prompt: Prompt,
        sampling: SamplingParameters,
        *,
        max_tokens: int | None = None,
        stop: tuple[str, ...] = (),
        candidates: int = 10,
    ) -> Reply:
        """Begin a reply."""
        request = Generate(
            request=next(self._numbers),
            prompt=prompt,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stop,
            candidates=candidates,
        )
        return _ProcessReply(self, request)

    async def predict(
        self,
        prompt: Prompt,
        sampling: SamplingParameters,
        *,
        candidates: int = 10,
        also: tuple[int, ...] = (),
    ) -> Predicted:
        """What could come after `prompt`; also while a reply is being written."""
        request = Predict(
            request=next(self._numbers), prompt=prompt, sampling=sampling, candidates=candidates, also=also
        )
        return await self._ask(request, Predicted)

    async def inspect(self, question: Question[_A], on_progress: OnProgress | None = None) -> _A:
        """Look inside the model (`chatterm.records.inspection`); also while a reply is being written."""
        request = Inspect(request=next(self._numbers), question=cast(AnyQuestion, question))
        return cast(_A, (await self._ask(request, Inspected, on_progress)).answer)

    async def tokenize(
        self, text: str, path: str | None = None, *, control: tuple[ControlSpan, ...] = ()
    ) -> Tokenized:
        """Cut a text into tokens, with the loaded model's tokenizer or that of the checkpoint at `path`."""
        request = Tokenize(request=next(self._numbers), text=text, path=path, control=control)
        return await self._ask(request, Tokenized)

    async def render(self, chat: Chat | Tokens) -> Rendered:
        """What exactly the model sees of a conversation, or what tokens say."""
        return await self._ask(Render(request=next(self._numbers), chat=chat), Rendered)

    async def discover(self, folders: tuple[str, ...] = ()) -> Discovered:
        """The checkpoints on this machine. Needs no model."""
        return await self._ask(Discover(request=next(self._numbers), folders=folders), Discovered)

    async def fetch(self, name: str, on_progress: OnProgress | None = None, *, download: bool = True) -> str:
        """Find a checkpoint, or download it; its path. Cancelling the task stops the download."""
        request = Fetch(request=next(self._numbers), name=name, download=download)
        return (await self._ask(request, Fetched, on_progress)).path

    async def describe(self, path: str) -> Described:
        """What the headers of a checkpoint say. Needs no model."""
        return await self._ask(Describe(request=next(self._numbers), path=path), Described)

    async def check(self, path: str, on_progress: OnProgress | None = None) -> Checked:
        """Read a whole checkpoint, verify it and run it once."""
        return await self._ask(Check(request=next(self._numbers), path=path), Checked, on_progress)

    async def search_hub(self, words: str, more: dict[Format, str] | None = None) -> HubSearched:
        """Repositories of the hub whose names hold these words; `more` is that of the page before."""
        return await self._ask(SearchHub(request=next(self._numbers), words=words, more=more), HubSearched)

    async def look_at_hub(self, repository: str) -> HubOffered:
        """What a repository of the hub offers."""
        return await self._ask(LookAtHub(request=next(self._numbers), repository=repository), HubOffered)

    async def verify(self, path: str, on_progress: OnProgress | None = None) -> Verified:
        """Hold the files of a checkpoint against their checksums."""
        return await self._ask(Verify(request=next(self._numbers), path=path), Verified, on_progress)

    async def delete(self, path: str, *, really: bool) -> Deleted:
        """Delete a checkpoint that chatterm downloaded, or only say what that would free."""
        return await self._ask(Delete(request=next(self._numbers), path=path, really=really), Deleted)

    async def discard(self, key: str) -> Deleted:
        """Delete what has come of an unfinished download."""
        return await self._ask(Discard(request=next(self._numbers), key=key), Deleted)

    async def examine(self, *, measure: bool = False) -> Examined:
        """What this machine offers an engine; `measure` again how fast it is."""
        return await self._ask(Examine(request=next(self._numbers), measure=measure), Examined)

    async def bench(self, request: Bench, on_progress: OnProgress | None = None) -> Benched:
        """Measure the loaded model; `request` says how, its number is chosen here."""
        numbered = msgspec.structs.replace(request, request=next(self._numbers))
        return await self._ask(numbered, Benched, on_progress)

    async def close(self) -> None:
        """End it: politely, then by force. Never raises."""
        if self._closing:
            return
        self._closing = True
        try:
            if self._process.returncode is None:
                try:
                    self._send(Shutdown(request=0))
                    await asyncio.wait_for(self._process.wait(), SHUTDOWN_SECONDS)
                except (TimeoutError, OSError, EngineDiedError):
                    self._kill()
                    await self._process.wait()
        finally:
            if self._reader is not None:
                self._reader.cancel()
            self._end(EngineDiedError("The engine was closed."))
            if self._stderr is not None:
                self._stderr.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _kill(self) -> None:
        """By its id: `Process.kill` would reap it, and the event loop then misses its exit status."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def _send(self, message: AnyRequest) -> None:
        if self._died is not None:
            raise self._died
        assert self._process.stdin is not None
        self._process.stdin.write(wire.frame(message))

    async def _read_event(self) -> AnyEvent | None:
        """The next event; None when the pipe is closed or broken."""
        assert self._process.stdout is not None
        try:
            header = await self._process.stdout.readexactly(wire.HEADER_BYTES)
            body = await self._process.stdout.readexactly(wire.body_length(header))
            return wire.event_decoder.decode(body)
        except (asyncio.IncompleteReadError, wire.BrokenFrameError, msgspec.DecodeError, OSError):
            return None

    async def _read(self) -> None:
        while (event := await self._read_event()) is not None:
            if isinstance(event, Hello):
                continue
            queue = self._waiting.get(event.request)
            if queue is not None:
                queue.put_nowait(event)
        self._kill()
        status = await self._process.wait()
        self._end(EngineDiedError(ending.obituary(status, ending.last_words(self._stderr))))

    def _end(self, why: EngineDiedError) -> None:
        """Whoever still waits, waits no longer."""
        self._died = self._died or why
        for queue in self._waiting.values():
            queue.put_nowait(self._died)

    async def _events(self, request: AnyRequest) -> AsyncGenerator[AnyEvent, None]:
        """Send a request and yield its events, the closing one included."""
        queue: asyncio.Queue[AnyEvent | EngineDiedError] = asyncio.Queue()
        self._waiting[request.request] = queue
        closed = False
        try:
            self._send(request)
            while not closed:
                event = await queue.get()
                if isinstance(event, EngineDiedError):
                    closed = True
                    raise event
                closed = isinstance(event, Closing)
                if isinstance(event, Failed):
                    raise EngineError(event.sentence)
                yield event
        finally:
            del self._waiting[request.request]
            if not closed and self.alive:
                self._send(Stop(request=request.request))

    async def _ask(
        self, request: AnyRequest, answer: type[_Answer], on_progress: OnProgress | None = None
    ) -> _Answer:
        events = self._events(request)
        try:
            async for event in events:
                if isinstance(event, answer):
                    return event
                if isinstance(event, Progress) and on_progress is not None:
                    on_progress(event)
        finally:
            await events.aclose()
        raise EngineError("The engine gave no answer.")


class _ProcessReply:
    def __init__(self, engine: EngineProcess, request: Generate) -> None:
        self._engine = engine
        self._request = request

    async def __aiter__(self) -> AsyncIterator[ReplyEvent]:
        async for event in self._engine._events(self._request):
            assert isinstance(event, ReplyEvent)
            yield event

    def steer(self, sampling: SamplingParameters) -> None:
        if self._engine.alive:
            self._engine._send(SetSampling(request=self._request.request, sampling=sampling))

    def stop(self) -> None:
        if self._engine.alive:
            self._engine._send(Stop(request=self._request.request))
