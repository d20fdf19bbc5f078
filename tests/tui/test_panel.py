"""The next-token panel, walking over tokens, and turning the knobs."""

from __future__ import annotations

import math

from scripted_model import HAIKU, WORDS

from chatterm.records.generation import Tokens
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.control_bar import ParameterStrip
from chatterm.tui.widgets.knob_table import FIELDS
from chatterm.tui.widgets.knobs import BY_FIELD
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.temperature import LEFT, TRACK, TemperatureSlider
from chatterm.tui.widgets.transcript import Transcript


async def test_it_follows_the_stream(chat):
    async with chat() as it:
        live = await it.hold(at=4)
        await it.until(lambda: "following" in it.panel()[0])
        panel = it.panel()
        assert "after “The ocean's”" in panel[1]
        drawn = [line for line in panel if line.startswith("▶")]
        assert len(drawn) == 1 and "·mirror" in drawn[0]
        assert f"token 4 of 4 · position {live.tokens[-1].distribution.position}" in "\n".join(panel)


async def test_its_numbers_are_those_of_the_distribution(chat):
    async with chat() as it:
        reply = await it.ask()
        token = reply.tokens[-1]
        text = "\n".join(it.panel())
        best = token.distribution.candidates[0]
        assert f"{best.p:.1%}" in text and f"{best.sampled:.1%}" in text
        assert f"entropy {token.distribution.entropy:.2f} nats" in text
        assert f"kept {token.distribution.kept} of {len(WORDS)}" in text
        assert f"removed {token.distribution.removed_mass:.1%}" in text
        assert f"surprise {-token.logprob:.2f} nats" in text
        for removal in token.distribution.removed:
            assert f"{removal.mass:.1%}" in text


async def test_removed_tokens_are_struck_and_say_which_step_removed_them(chat):
    async with chat() as it:
        await it.ask()
        panel = it.app.chat.query_one(NextTokenPanel)
        strips = [panel.render_line(y) for y in range(panel.size.height)]
        rows = [strip for strip in strips if "removed: min-p" in strip.text]
        assert rows
        for row in rows:
            assert any(segment.style.strike and segment.text.strip() for segment in row)
            assert "%" in row.text, "the mass it held is still there"


async def test_it_says_why_it_is_empty(chat):
    async with chat() as it:
        await it.ready()
        await it.until(lambda: "Nothing has been written yet." in "\n".join(it.panel()))


async def test_its_size_does_not_depend_on_what_it_shows(chat):
    async with chat() as it:
        await it.ready()
        panel = it.app.chat.query_one(NextTokenPanel)
        before = panel.region
        await it.ask()
        assert panel.region == before
        for y in range(panel.size.height):
            assert panel.render_line(y).cell_length == panel.size.width


async def test_every_step_that_removed_something_is_named_to_the_end(chat):
    async with chat() as it:
        await it.ready()
        panel = it.app.chat.query_one(NextTokenPanel)
        steps = ["top-k 1.4%", "top-p 4.3%", "min-p 6.5%", "T = 0 46%"]
        assert panel._by(steps[:1]) == "by top-k 1.4%"
        said = panel._by(steps)
        assert all(step in said for step in steps) and len(said) <= panel.size.width


async def test_f2_and_arrows_walk_over_the_tokens_and_the_panel_stays(chat):
    async with chat() as it:
        reply = await it.ask()
        await it.press("f2", "left", "left")
        assert it.session.lookout.pin == (reply, len(HAIKU) - 3)
        assert "selected" in it.panel()[0]
        assert any(line.startswith("▶ ·blue") for line in it.panel())
        await it.press("home")
        assert it.session.lookout.pin == (reply, 0)
        await it.press("down")
        line_two = it.session.lookout.pin[1]
        assert reply.tokens[line_two].text in (" reflecting", " the")
        await it.press("up")
        assert it.session.lookout.pin[1] < line_two
        await it.press("escape")
        assert it.session.lookout.pin is None
        assert isinstance(it.app.focused, Composer)
        assert "last of the reply" in it.panel()[0]


async def test_a_selected_token_stays_while_the_reply_goes_on(chat):
    async with chat() as it:
        live = await it.hold(at=4)
        await it.press("f2", "left", "left")
        assert it.session.lookout.pin == (live, 1)
        it.knobs.go.set()
        await it.until(lambda: it.session.live is None)
        assert it.session.lookout.pin == (live, 1)
        assert any(line.startswith("▶ ·ocean") for line in it.panel())
        await it.press("end")
        assert it.session.lookout.pin is None


async def test_arrows_go_on_into_the_messages_before(chat):
    async with chat() as it:
        first = await it.ask("one")
        second = await it.ask("all who")
        question = it.session.turns[-2]
        await it.press("f2")
        await it.until(lambda: question.given)
        await it.press("home", "left")
        assert it.session.lookout.pin == (question, 1)
        await it.press("left", "left")
        assert it.session.lookout.pin == (first, len(first.tokens) - 1)
        await it.press("right", "down")
        assert it.session.lookout.pin == (second, 0)


async def test_a_click_on_a_word_selects_its_token(chat):
    async with chat() as it:
        reply = await it.ask()
        transcript = it.app.chat.query_one(Transcript)
        row = next(y for y in range(transcript.size.height) if "reflecting" in transcript.render_line(y).text)
        column = transcript.render_line(row).text.index("beauty")
        await it.pilot.click(Transcript, offset=(column + 2, row))
        await it.pilot.pause()
        assert it.session.lookout.pin == (reply, HAIKU.index(" beauty"))


async def test_wide_characters_are_hit_where_they_stand(chat, knobs):
    knobs.replies = [["苹果", "是", "水果", "。", " the"]]
    async with chat() as it:
        reply = await it.ask("苹果？")
        transcript = it.app.chat.query_one(Transcript)
        row = next(y for y in range(transcript.size.height) if "苹果是水果" in transcript.render_line(y).text)
        fruit = transcript._left + 2 + 8  # the cell of 果 in 水果
        await it.pilot.click(Transcript, offset=(fruit, row))
        await it.pilot.pause()
        assert it.session.lookout.pin == (reply, 2)


async def test_typing_leaves_the_tokens_and_goes_on_with_the_message(chat):
    async with chat() as it:
        await it.ask()
        await it.press("f2", "left", "h", "i")
        assert it.session.lookout.pin is None
        assert it.app.chat.query_one(Composer).text == "hi"


async def test_selected_replies_are_coloured_by_surprise_and_marked_without_colour(chat):
    async with chat() as it:
        reply = await it.ask()
        await it.press("f2")
        transcript = it.app.chat.query_one(Transcript)
        segments = [s for y in range(transcript.size.height) for s in transcript.render_line(y)]
        surprising = next(t for t in reply.tokens if t.logprob < -3 and t.text.strip())
        segment = next(s for s in segments if s.text == surprising.text and s.style.underline)
        assert segment.style.color is not None
        assert any(s.style.reverse and s.text == "." for s in segments), "the selected token"


# --- temperature ----------------------------------------------------------------------------------------


async def test_every_temperature_key_works_while_one_writes(chat):
    async with chat() as it:
        await it.ready()
        value = 0.8
        for key, step in (
            ("alt+up", 1), ("ctrl+up", 1), ("f8", 1),
            ("alt+down", -1), ("ctrl+down", -1), ("f7", -1), ("f7", -1),
        ):  # fmt: skip
            await it.press(key)
            value = round(value + 0.05 * step, 2)
            assert it.session.values.sampling.temperature == value
        assert isinstance(it.app.focused, Composer)


async def test_the_temperature_stays_between_0_and_2_on_steps(chat):
    async with chat() as it:
        await it.ready()
        it.session.change(temperature=1.93)
        await it.press("f8")
        assert it.session.values.sampling.temperature == 1.95
        for _ in range(3):
            await it.press("f8")
        assert it.session.values.sampling.temperature == 2.0
        it.session.change(temperature=0.03)
        await it.press("f7", "f7")
        assert it.session.values.sampling.temperature == 0.0


async def test_the_slider_takes_clicks_drags_and_the_wheel(chat):
    async with chat() as it:
        await it.ready()
        await it.pilot.click(TemperatureSlider, offset=(LEFT + 5, 0))
        await it.pilot.pause()
        assert it.session.values.sampling.temperature == 0.5
        await it.pilot.mouse_down(TemperatureSlider, offset=(LEFT + 5, 0))
        await it.pilot.hover(TemperatureSlider, offset=(LEFT + TRACK - 1, 0))
        await it.pilot.mouse_up(TemperatureSlider, offset=(LEFT + TRACK - 1, 0))
        await it.pilot.pause()
        assert it.session.values.sampling.temperature == 2.0
        assert "2.00" in it.lines()[0]


async def test_turning_it_mid_reply_steers_the_next_token(chat):
    async with chat() as it:
        live = await it.hold(at=4)
        await it.press("alt+up", "alt+up")
        it.knobs.go.set()
        await it.until(lambda: not live.live)
        assert [token.temperature for token in live.tokens[:4]] == [0.8] * 4
        # the token that waited was drawn after the turn
        assert [token.temperature for token in live.tokens[4:]] == [0.9] * (len(live.tokens) - 4)


async def test_when_idle_the_sampled_column_changes_at_once_without_generating(chat):
    async with chat() as it:
        reply = await it.ask()
        before = [token.distribution for token in reply.tokens]
        await it.press("alt+up")
        await it.until(lambda: "T 0.85" in it.panel()[3])
        prompt, sampling = it.knobs.predictions[-1]
        assert prompt == Tokens(reply.prompt, reply.ids(len(reply.tokens) - 1)), "told apart from the reply"
        assert sampling.temperature == 0.85
        assert len(it.knobs.chats) == 1
        assert [token.distribution for token in reply.tokens] == before, "what was drawn stays on record"
        assert f"drawn at T {reply.tokens[-1].temperature:.2f}" in "\n".join(it.panel())


async def test_fast_turning_does_not_pile_up_requests(chat):
    async with chat() as it:
        await it.ask()
        for value in range(20):
            it.session.change(temperature=value / 10)
        await it.until(lambda: "T 1.90" in it.panel()[3])
        assert len(it.knobs.predictions) <= 3


async def test_temperature_of_a_selected_token_is_recomputed(chat):
    async with chat() as it:
        reply = await it.ask()
        await it.press("f2", "left", "left", "left", "f8")
        await it.until(lambda: "T 0.85" in it.panel()[3])
        index = len(reply.tokens) - 4
        assert it.knobs.predictions[-1][0] == Tokens(reply.prompt, reply.ids(index))
        candidates = it.session.lookout.look.distribution.candidates
        assert math.isclose(sum(c.sampled for c in candidates if c.kept), 1.0, abs_tol=0.6)


# --- the other values -----------------------------------------------------------------------------------


async def test_all_values_are_in_the_bar_at_100_columns(chat):
    async with chat(size=(100, 30)) as it:
        await it.ready()
        bar = it.lines()[0]
        for words in ("0.80", "top-p 0.95", "top-k 40", "min-p 0.05", "repeat off", "seed auto"):
            assert words in bar


async def test_values_can_be_turned_typed_switched_off_and_reset(chat):
    async with chat(size=(80, 24)) as it:
        await it.ready()
        await it.press("f4", "down", "left")
        assert it.session.values.sampling.top_p == 0.9
        await it.press("delete")
        assert it.session.values.sampling.top_p == 1.0
        await it.press("down", *"120", "enter")
        assert it.session.values.sampling.top_k == 120
        await it.press("down", "right", "down", "right", "down", *"77", "enter")
        sampling = it.session.values.sampling
        assert (sampling.min_p, sampling.repetition_penalty, sampling.seed) == (0.06, 1.05, 77)
        assert it.session.values.seed_is_chosen
        await it.press("delete")
        assert not it.session.values.seed_is_chosen
        await it.press("r")
        assert it.session.values.sampling.replace(seed=0) == it.session.values.start
        assert "starting values: chatterm defaults" in it.text()
        await it.press("escape")
        assert it.app.screen is it.app.chat


async def test_every_other_sampling_value_is_further_down(chat):
    async with chat(size=(80, 24)) as it:
        await it.ready()
        await it.press("f4")
        for field in FIELDS[1:]:
            await it.press("down")
            title = "seed" if field == "seed" else BY_FIELD[field].title
            assert f"▸ {title}" in it.text()
        await it.press("up", "up", "up", "right")
        assert it.session.values.sampling.mirostat == 2
        await it.press("1", "enter")
        assert it.session.values.sampling.mirostat == 2
        assert "1 is not possible here" in it.text()
        await it.press("delete", "up", "up", "up", "up", "up", "left")
        assert it.session.values.sampling.mirostat == 0
        assert it.session.values.sampling.presence_penalty == -0.05


async def test_a_value_that_cannot_be_is_refused_in_words(chat):
    async with chat() as it:
        await it.ready()
        await it.press("f4", *"9.5", "enter")
        assert "9.5 is not between 0 and 2." in it.text()
        assert it.session.values.sampling.temperature == 0.8


async def test_a_changed_value_is_marked_in_the_bar(chat):
    async with chat() as it:
        await it.ready()
        it.session.change(top_k=7)
        await it.until(lambda: "top-k 7*" in it.lines()[0])
        await it.pilot.click(ParameterStrip, offset=(12, 0))
        await it.pilot.pause()
        assert "▸ top-k" in it.text()


async def test_values_of_the_settings_win_over_the_checkpoint_and_survive_another(chat):
    async with chat(sampling={"top_k": 3}) as it:
        await it.ready()
        assert it.session.values.sampling.top_k == 3
        it.session.change(temperature=1.5)
        await it.session.host.open("Scripted-1B")
        assert it.session.values.sampling.top_k == 3
        assert it.session.values.sampling.temperature == 1.5
