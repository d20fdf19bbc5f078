"""Asking a question of the glass box from the command line: load exactly, ask, take the answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from chatterm.cli import common
from chatterm.cli.loading import load_options
from chatterm.engine.client import EngineProcess
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import ModelInfo, Prompt
from chatterm.records.inspection import AttentionHead


@contextlib.asynccontextmanager
async def loaded(model: str | None) -> AsyncIterator[tuple[EngineProcess, ModelInfo]]:
    """An engine with MODEL loaded as `loading_options(exact=True)` and the settings say."""
    async with common.engine() as engine:
        path = await common.find(engine, model)
        options = load_options()
        with common.progress_line() as show:
            info = await engine.load(path, options, show)
        yield engine, info


async def one_token(engine: EngineProcess, text: str | None) -> int | None:
    """The token that `text` names: its own, or that with a space before it. None for None.

    Raises:
        UserError: it is several tokens.
    """
    if text is None:
        return None
    own = (await engine.tokenize(text)).tokens
    if len(own) == 1:
        return own[0].id
    spaced = (await engine.tokenize(f" {text}")).tokens
    if len(spaced) == 1:
        return spaced[0].id
    pieces = ", ".join(repr(token.text) for token in own) or _("nothing")
    raise UserError(
        _("{text} is not one token of this model ({pieces}): name one of its tokens.").format(
            text=repr(text), pieces=pieces
        )
    )


async def texts_of(engine: EngineProcess, prompt: Prompt) -> tuple[str, ...]:
    """All tokens of a prompt as the model reads it, the beginning token included."""
    return (await engine.inspect(AttentionHead(prompt, 0, 0))).tokens


def plain(answer: msgspec.Struct) -> dict[str, Any]:
    """An answer as JSON has it."""
    document: dict[str, Any] = msgspec.to_builtins(answer)
    document.pop("type", None)
    return document
