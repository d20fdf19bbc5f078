"""Replies that go on from tokens that they are given."""

from __future__ import annotations

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Finished, Started, TokenEvent
from chatterm.engine.protocol import Reply
from chatterm.records.generation import Chat, Message, Tokens
from chatterm.sampling import SamplingParameters

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

CHAT = Chat((Message("user", "Say in one sentence what 水 is. 🙂"),))
SAMPLING = SamplingParameters(temperature=0.9, seed=5)


async def collect(reply: Reply) -> tuple[Started, list[TokenEvent], Finished]:
    started, *tokens, finished = [event async for event in reply]
    return started, tokens, finished


def begun(*ids: int) -> Chat:
    return Chat(CHAT.messages, begun=ids)


async def test_a_reply_goes_on_from_its_own_tokens_as_it_went(engine: EngineProcess) -> None:
    first, tokens, _ = await collect(engine.generate(CHAT, SAMPLING, max_tokens=16))
    ids = [token.id for token in tokens]
    assert len(ids) >= 6
    started, rest, _ = await collect(
        engine.generate(begun(*ids[:5]), SAMPLING, max_tokens=len(ids) - 5, candidates=3)
    )
    assert started.prompt == (*first.prompt, *ids[:5])
    assert list(started.begun) == [token.text for token in tokens[:5]]
    assert [token.id for token in rest] == ids[5:], "the same seed makes the same choices"
    assert [token.text for token in rest] == [token.text for token in tokens[5:]]
    assert rest[0].distribution.position == len(started.prompt)


async def test_a_reply_to_given_tokens_goes_on_as_one_to_the_conversation(engine: EngineProcess) -> None:
    first, tokens, _ = await collect(engine.generate(CHAT, SAMPLING, max_tokens=12))
    ids = tuple(token.id for token in tokens)
    started, rest, _ = await collect(
        engine.generate(Tokens(first.prompt, ids[:4]), SAMPLING, max_tokens=len(ids) - 4)
    )
    assert started.prompt == (*first.prompt, *ids[:4])
    assert list(started.begun) == [token.text for token in tokens[:4]]
    assert tuple(token.id for token in rest) == ids[4:]


async def test_half_a_character_is_completed_by_the_token_after(engine: EngineProcess) -> None:
    ids = [token.id for token in (await engine.tokenize("🙂")).tokens]
    assert len(ids) > 1, "a character of several tokens"
    started, _, _ = await collect(engine.generate(begun(*ids), SAMPLING, max_tokens=1))
    assert started.begun == ("",) * (len(ids) - 1) + ("🙂",)


async def test_an_end_token_ends_it_at_once(engine: EngineProcess) -> None:
    _, tokens, finished = await collect(
        engine.generate(CHAT, SamplingParameters(temperature=0), max_tokens=90)
    )
    assert finished.reason == "end"
    ids = [token.id for token in tokens]
    started, rest, finished = await collect(engine.generate(begun(ids[0], ids[-1]), SAMPLING))
    assert (started.begun, rest, finished.reason) == ((tokens[0].text, ""), [], "end")


async def test_what_the_model_sees_includes_them(engine: EngineProcess) -> None:
    seen = await engine.render(begun(28))
    assert seen.tokens[:-1] == (await engine.render(CHAT)).tokens
    assert seen.tokens[-1].id == 28
