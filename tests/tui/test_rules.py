"""A checkpoint's rules as the screen shows them, and how they are switched off."""

from __future__ import annotations

from chatterm.chat.sampling_values import SamplingValues
from chatterm.records.generation import RuleCounts
from chatterm.sampling import SamplingParameters
from chatterm.tui.text.checkpoint_rules import in_words
from chatterm.tui.widgets.knob_table import FIELDS, KnobTable
from chatterm.tui.widgets.knobs import BY_FIELD, RULES


def test_rules_are_said_in_words() -> None:
    assert in_words(RuleCounts()) == ""
    assert in_words(RuleCounts(suppressed=1, stops=2)) == "1 token suppressed, 2 stop texts"


async def test_the_table_says_what_they_are_and_switches_them_off(chat) -> None:
    knob = BY_FIELD[RULES]
    assert knob.show(SamplingParameters()) == "on"
    assert knob.show(SamplingParameters(checkpoint_rules=False)) == "off"
    async with chat() as running:
        await running.ready()
        running.session.values.rules = RuleCounts(suppressed=3, at_beginning=2)
        await running.app.chat.run_action(f"parameters({RULES!r})")
        await running.until(lambda: running.app.screen.query(KnobTable))
        await running.until(
            lambda: "it says: 3 tokens suppressed, 2 suppressed at the beginning" in running.text()
        )
        await running.press("left")
        await running.until(lambda: running.session.values.sampling.checkpoint_rules is False)
        await running.press("right")
        await running.until(lambda: running.session.values.sampling.checkpoint_rules is True)
        await running.press("0", "enter")
        await running.until(lambda: running.session.values.sampling.checkpoint_rules is False)


def test_another_checkpoint_brings_its_own_and_the_switch_stays() -> None:
    values = SamplingValues({})
    values.begin_from(SamplingParameters(), "the checkpoint", RuleCounts(suppressed=3))
    values.change(checkpoint_rules=0)
    values.begin_from(SamplingParameters(temperature=0.5), "the checkpoint")
    assert values.rules == RuleCounts()
    assert not values.sampling.checkpoint_rules
    assert RULES in FIELDS
