"""The list of edits: reading them, switching them, and being refused."""

from __future__ import annotations

import pytest
from scripted import Knobs, ScriptedEngine

from chatterm.chat.edits import EditList, parse, scaled, words
from chatterm.errors import UserError
from chatterm.records.inspection import ScaleBlock, ScaleFeedForward, ScaleHead, ScaleNeuron, Steer


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("head 7.3", ScaleHead(7, 3)),
        ("head:7.3", ScaleHead(7, 3)),
        ("Head 7.3 x 0.5", ScaleHead(7, 3, 0.5)),
        ("mlp 4", ScaleFeedForward(4)),
        ("ffn 4 × -1", ScaleFeedForward(4, -1.0)),
        ("block:5=2", ScaleBlock(5, 2.0)),
        (" neuron 12.104 ", ScaleNeuron(12, 104)),
    ],
)
def test_edits_are_read_as_people_write_them(text, edit):
    assert parse(text) == edit


@pytest.mark.parametrize(
    "text",
    ["", "head", "head 7", "neuron 4", "mlp 4.2", "block x", "head 7.3 off please", "mlp " + "9" * 5000],
)
def test_what_is_no_edit_is_refused_in_a_sentence(text):
    with pytest.raises(UserError) as refused:
        parse(text)
    assert str(refused.value).endswith((".", "”."))


def test_words_say_what_an_edit_does():
    assert words(ScaleHead(7, 3)) == "head 7.3 off"
    assert words(scaled(ScaleBlock(5), 0.25)) == "block 5 × 0.25"
    assert "steered × 1.5 after block 9: “bad” → “good”" in words(Steer(9, "good", "bad", 1.5))


async def engine() -> ScriptedEngine:
    one = ScriptedEngine(Knobs())
    await one.load("Scripted-135M")
    return one


async def test_what_is_on_is_in_force_and_switching_twice_takes_it_back():
    edits, here = EditList(), await engine()
    edits.other_engine(here)
    edits.switch(ScaleHead(1, 2))
    edits.add(ScaleBlock(3, 0.5))
    assert await edits.apply(here)
    assert edits.in_force == (ScaleHead(1, 2), ScaleBlock(3, 0.5))
    edits.switch(ScaleHead(1, 2))
    assert await edits.apply(here)
    assert edits.in_force == (ScaleBlock(3, 0.5),)
    assert len(edits.entries) == 2, "it stays in the list"
    assert not await edits.apply(here), "nothing changed"


async def test_a_refused_edit_is_off_and_the_others_stay_in_force():
    edits, here = EditList(), await engine()
    edits.other_engine(here)
    edits.add(ScaleHead(1, 2))
    await edits.apply(here)
    edits.add(ScaleBlock(99))
    assert not await edits.apply(here)
    assert "no such layer" in edits.trouble
    assert edits.in_force == edits.wanted == (ScaleHead(1, 2),)


async def test_another_engine_knows_no_edits_and_the_same_model_gets_them_again():
    edits, here = EditList(), await engine()
    edits.other_engine(here)
    edits.add(ScaleHead(1, 2))
    await edits.apply(here)
    again = await engine()
    assert edits.other_engine(again)
    assert edits.in_force == () and edits.pending
    assert await edits.apply(again)
    other = ScriptedEngine(Knobs())
    await other.load("Scripted-1B")
    edits.other_engine(other)
    assert edits.wanted == () and not edits.pending
