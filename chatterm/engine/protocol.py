"""What the rest of the program may expect of an engine, wherever it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

from chatterm.engine.messages import (
    Finished,
    LoadOptions,
    Predicted,
    Progress,
    Rendered,
    Started,
    TokenEvent,
    Tokenized,
)
from chatterm.errors import UserError
from chatterm.records.generation import Chat, ControlSpan, ModelInfo, Prompt, Tokens
from chatterm.records.inspection import Question
from chatterm.sampling import SamplingParameters

_A = TypeVar("_A")

OnProgress = Callable[[Progress], None]
ReplyEvent = Started | Progress | TokenEvent | Finished


class EngineError(UserError):
    """The engine could not do what was asked; it goes on running."""


class EngineDiedError(UserError):
    """The engine process is gone; start another one."""


class Reply(Protocol):
    """A reply being written: iterate over its events, turn its knobs, stop it."""

    def __aiter__(self) -> AsyncIterator[ReplyEvent]:
        """`Started`, then `Progress` and `TokenEvent`, and `Finished` last.

        Raises:
            EngineError: the engine refused; the sentence says why.
            EngineDiedError: the engine process ended in the middle.
        """
        ...

    def steer(self, sampling: SamplingParameters) -> None:
        """New parameters, from the very next token."""
        ...

    def stop(self) -> None:
        """End within one token; `Finished("stopped")` follows."""
        ...


class Engine(Protocol):
    """Anything that can say what comes next. All methods raise `EngineError` and `EngineDiedError`."""

    @property
    def info(self) -> ModelInfo | None:
        """What is loaded; None before `load`."""
        ...

    async def load(
        self, path: str, options: LoadOptions = ..., on_progress: OnProgress | None = None
    ) -> ModelInfo:
        """Load a checkpoint."""
        ...

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
        ...

    async def predict(
        self,
        prompt: Prompt,
        sampling: SamplingParameters,
        *,
        candidates: int = 10,
        also: tuple[int, ...] = (),
    ) -> Predicted:
        """What could come after `prompt`; also while a reply is being written."""
        ...

    async def inspect(self, question: Question[_A], on_progress: OnProgress | None = None) -> _A:
        """Look inside the model; also while a reply is being written."""
        ...

    async def tokenize(self, text: str, *, control: tuple[ControlSpan, ...] = ()) -> Tokenized:
        """Cut a text into tokens; those of its characters at `control` are the control tokens named there."""
        ...

    async def render(self, chat: Chat | Tokens) -> Rendered:
        """What exactly the model sees of a conversation, or what tokens say."""
        ...

    async def close(self) -> None:
        """End it. Never raises."""
        ...
