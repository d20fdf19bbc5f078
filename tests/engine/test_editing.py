"""Edits in force and comparisons, asked through the client of a real engine with the real default model."""

from __future__ import annotations

import asyncio

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Finished, LoadOptions, Started, TokenEvent
from chatterm.engine.protocol import EngineError
from chatterm.records.generation import Text, Tokens
from chatterm.records.inspection import (
    ApplyEdits,
    Compare,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    SelfCheck,
    Steer,
)
from chatterm.sampling import SamplingParameters

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

CONTEXT = 128
PROMPT = Text("The capital of Poland is")
GREEDY = SamplingParameters(temperature=0)
WARM = SamplingParameters(temperature=0.9, seed=4)
EDITS = (ScaleFeedForward(20), ScaleHead(3, 2, 0.5))


async def reply(engine: EngineProcess, sampling=GREEDY, tokens=8, prompt=PROMPT) -> tuple[Started, list[int]]:
    events = [event async for event in engine.generate(prompt, sampling, max_tokens=tokens)]
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    return events[0], [event.id for event in events if isinstance(event, TokenEvent)]


async def logprobs(engine: EngineProcess, prompt=PROMPT) -> dict[int, float]:
    predicted = await engine.predict(prompt, GREEDY, candidates=5)
    return {row.id: row.logprob for row in predicted.distribution.candidates}


async def test_edits_in_force_hold_until_they_are_taken_back(engine: EngineProcess) -> None:
    clean, (_, written) = await logprobs(engine), await reply(engine)
    applied = await engine.inspect(ApplyEdits(EDITS))
    assert applied.described == ("feed-forward 20 off", "head 3.2 × 0.5")
    compared = await engine.inspect(Compare(PROMPT, EDITS, GREEDY, candidates=5, max_tokens=8))
    edited = await logprobs(engine)
    assert edited == pytest.approx({row.id: row.logprob for row in compared.edited.candidates}, abs=1e-3)
    started, edited_reply = await reply(engine)
    assert edited_reply == [token.id for token in compared.edited_reply]
    assert edited_reply != written
    assert (await engine.inspect(ApplyEdits(EDITS))).described == applied.described
    started, again = await reply(engine)
    assert started.reused >= len(started.prompt) - 1, "the same edits once more keep what was read"
    assert again == edited_reply
    assert (await engine.inspect(ApplyEdits(()))).described == ()
    started, again = await reply(engine)
    assert started.reused >= len(started.prompt) - 1, "the clean keys were kept"
    assert again == written
    assert await logprobs(engine) == pytest.approx(clean, abs=1e-4)


async def test_clean_and_edited_keys_never_mix(engine: EngineProcess) -> None:
    """A text read under edits gives, after them, what it gives in a fresh engine, to half precision."""
    await engine.inspect(ApplyEdits((ScaleBlock(4),)))
    text = Text("Once upon a time there was a small grey")
    edited = await logprobs(engine, text)
    await engine.inspect(ApplyEdits(()))
    after = await logprobs(engine, text)
    compared = await engine.inspect(Compare(text, (ScaleBlock(4),), GREEDY, candidates=5))
    assert after == pytest.approx({row.id: row.logprob for row in compared.clean.candidates}, abs=5e-3)
    assert edited == pytest.approx({row.id: row.logprob for row in compared.edited.candidates}, abs=5e-3)


async def test_a_scale_of_one_is_no_edit(engine: EngineProcess) -> None:
    before = await logprobs(engine)
    applied = await engine.inspect(ApplyEdits((ScaleHead(0, 0, 1.0), Steer(3, "a", "b", 0.0))))
    assert applied.described == ()
    assert await logprobs(engine) == before


async def test_a_refused_edit_changes_nothing(engine: EngineProcess) -> None:
    await engine.inspect(ApplyEdits(EDITS))
    edited = await logprobs(engine)
    with pytest.raises(EngineError, match="layer 40 does not exist: this model has layers 0 to 29"):
        await engine.inspect(ApplyEdits((ScaleHead(40, 0),)))
    assert await logprobs(engine) == edited
    await engine.inspect(ApplyEdits(()))


async def test_a_comparison_uses_the_same_random_choices_and_no_edits_in_force(engine: EngineProcess) -> None:
    _, written = await reply(engine, WARM)
    await engine.inspect(ApplyEdits((ScaleBlock(7),)))
    same = await engine.inspect(Compare(PROMPT, (), WARM, max_tokens=8))
    await engine.inspect(ApplyEdits(()))
    assert [token.id for token in same.clean_reply] == [token.id for token in same.edited_reply] == written
    assert (same.kl, same.kl_along, same.described) == (0.0, (0.0,) * 8, ())
    different = await engine.inspect(Compare(PROMPT, EDITS, WARM, max_tokens=8))
    assert [token.id for token in different.clean_reply] == written
    assert different.kl == different.kl_along[0] > 0.01
    assert "".join(token.text for token in different.clean_reply).startswith(" ")


async def test_a_comparison_leaves_the_conversation_as_it_was(engine: EngineProcess) -> None:
    started, written = await reply(engine)
    await engine.inspect(Compare(Text("Quite another text"), EDITS, GREEDY, max_tokens=4))
    whole = Tokens((*started.prompt, *written))
    again, _ = await reply(engine, prompt=whole, tokens=1)
    assert again.reused >= len(whole.ids) - 1


async def test_a_long_comparison_can_be_stopped(engine: EngineProcess) -> None:
    asked = asyncio.create_task(engine.inspect(Compare(PROMPT, EDITS, WARM, max_tokens=100)))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await logprobs(engine), "and the engine goes on"


async def test_steering_moves_the_prediction_towards_its_text(engine: EngineProcess) -> None:
    compared = await engine.inspect(
        Compare(Text("I think that you are"), (Steer(14, "wonderful", "terrible", 1.0),), GREEDY)
    )
    assert compared.kl > 0.01
    with pytest.raises(EngineError, match="A text to steer by"):
        await engine.inspect(Compare(PROMPT, (Steer(14, "", "b"),), GREEDY))


async def test_the_self_check_holds(engine: EngineProcess) -> None:
    await engine.inspect(ApplyEdits(EDITS))
    checked = await engine.inspect(SelfCheck())
    await engine.inspect(ApplyEdits(()))
    assert [identity for identity in checked.identities if not identity.holds] == []
    assert len(checked.identities) >= 13


async def test_loading_again_takes_the_edits_back(default_model_path) -> None:
    async with await EngineProcess.start() as engine:
        await engine.load(str(default_model_path), LoadOptions(context=CONTEXT))
        clean = await logprobs(engine)
        await engine.inspect(ApplyEdits(EDITS))
        assert await logprobs(engine) != pytest.approx(clean, abs=1e-3)
        await engine.load(str(default_model_path), LoadOptions(context=CONTEXT))
        assert await logprobs(engine) == pytest.approx(clean, abs=1e-4)
