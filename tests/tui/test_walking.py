"""Walking over all that the model reads; colours, the entropy curve, the rank plot."""

from __future__ import annotations

import pytest
from scripted_model import HAIKU, WORDS

from chatterm.chat.turns import Turn
from chatterm.records.generation import Tokens
from chatterm.records.inspection import Score
from chatterm.tui.dialogs.rank_plot import RankPlotScreen
from chatterm.tui.text.token_measures import step_of
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.transcript import Transcript

QUESTION = " all who listen"


def segments(it):
    transcript = it.app.chat.query_one(Transcript)
    return [s for y in range(transcript.size.height) for s in transcript.render_line(y)]


async def test_tokens_of_the_users_message_have_candidates_of_their_own(chat):
    async with chat() as it:
        await it.ask(QUESTION.strip())
        question = it.session.turns[0]
        await it.press("f2")
        await it.until(lambda: question.given)
        await it.press("home", "left")
        assert it.session.lookout.pin == (question, 2)
        await it.until(lambda: it.session.lookout.look.distribution is not None)
        assert it.knobs.predictions[-1][0] == Tokens(question.prompt, question.ids(2))
        assert any(line.startswith("▶") and "·listen" in line for line in it.panel())
        assert "given to the model" in "\n".join(it.panel())
        moment = await it.session.moment()
        assert moment.before == question.prompt + question.ids(2)
        assert (moment.text, moment.position) == (" listen", len(moment.before))


async def test_a_click_on_a_word_of_the_user_selects_its_token(chat):
    async with chat() as it:
        await it.ask("Calls from the sea")
        question = it.session.turns[0]
        transcript = it.app.chat.query_one(Transcript)
        row = next(y for y in range(transcript.size.height) if "Calls" in transcript.render_line(y).text)
        column = transcript.render_line(row).text.index("the sea")
        await it.pilot.click(Transcript, offset=(column + 1, row))
        await it.until(lambda: it.session.lookout.pin == (question, 2))


async def test_the_moment_of_a_reply_token_is_what_stood_before_it(chat):
    async with chat() as it:
        await it.ready()
        assert await it.session.moment() is None
        assert it.session.no_moment.startswith("Nothing has been written yet")
        reply = await it.ask()
        await it.press("f2", "left")
        moment = await it.session.moment()
        assert moment.before == reply.prompt + reply.ids(len(HAIKU) - 2)
        assert moment.token == WORDS.index(" moon")
        assert moment.position == reply.tokens[-2].distribution.position
        await it.session.host.open("Scripted-1B")
        assert await it.session.moment() is None
        assert "Scripted-135M wrote this" in it.session.no_moment


async def test_all_that_the_model_reads_is_shown_token_by_token(chat):
    async with chat(size=(120, 50)) as it:
        reply = await it.ask("who <0xE4> calls")
        await it.press("ctrl+l")
        await it.until(lambda: "what Scripted-135M reads" in it.transcript())
        shown = it.transcript()
        assert "<|user|>" in shown and "<|begin|>" in shown and "⏎" in shown
        assert f"{len(reply.prompt) + len(HAIKU)} tokens" in shown
        assert "·reflecting" in shown
        strong = next(s for s in segments(it) if s.text == "<|user|>")
        assert strong.style.bold, "control tokens stand out"
        await it.press("f2", "home", "right")
        context = it.app.chat.visible_turns.turns[0]
        assert it.session.lookout.pin == (context, 1)
        await it.until(lambda: it.session.lookout.look.distribution is not None)
        assert it.knobs.predictions[-1][0] == Tokens((), reply.prompt[:1])
        await it.press("left")
        await it.until(lambda: "Nothing stands before the first token" in " ".join(it.panel()))
        assert await it.session.moment() is None


async def test_a_selected_token_stays_selected_in_the_other_view(chat):
    async with chat(size=(120, 50)) as it:
        reply = await it.ask("who calls")
        await it.press("f2", "left", "left", "ctrl+l")
        await it.until(lambda: "what Scripted-135M reads" in it.transcript())
        assert it.session.lookout.pin == (reply, len(HAIKU) - 3), "the same token of the same reply"
        selected, index = it.app.chat.query_one(Transcript).selected
        assert selected.piece(index) == " blue"
        await it.press("ctrl+l")
        assert it.app.chat.query_one(Transcript).selected == (reply, len(HAIKU) - 3)


async def test_a_token_that_no_model_here_has_read_is_not_selected_in_the_other_view(chat):
    """The reply of another model, behind the last one of this model."""
    async with chat(size=(120, 50)) as it:
        for model in ("Scripted-1B", "Scripted-135M"):
            await it.session.host.open(model)
            await it.ask(f"who calls {model}")
        await it.session.host.open("Scripted-1B")
        await it.press("f2", "ctrl+l")
        await it.until(lambda: "what Scripted-1B reads" in it.transcript())
        assert it.app.chat.query_one(Transcript).selected is None
        await it.press("f6")
        assert it.app.chat.query_one(Transcript).selected is None


async def test_a_turn_of_which_the_place_is_not_known_is_not_looked_for_by_its_tokens(chat):
    """The same tokens may stand at the beginning of all that is read."""
    async with chat(size=(120, 50)) as it:
        await it.ask("who calls")
        await it.press("ctrl+l")
        await it.until(lambda: "what Scripted-135M reads" in it.transcript())
        context = it.app.chat.visible_turns.turns[0]
        unknown = Turn("assistant", given=list(context.given))
        assert it.app.chat.visible_turns.place_of(unknown, 1) is None


async def test_a_token_that_has_just_come_can_be_entered_in_what_is_read(chat):
    async with chat(size=(120, 50)) as it:
        reply = await it.hold("who calls")
        await it.press("ctrl+l")
        await it.until(lambda: "what Scripted-135M reads" in it.transcript())
        context = it.app.chat.visible_turns.turns[0]
        reply.add(reply.tokens[-1])  # and nothing was drawn since
        it.app.chat.walk.enter_candidates()
        assert it.app.chat.query_one(Transcript).selected == (context, context.kept + len(reply.tokens) - 1)


async def test_it_grows_with_a_reply(chat):
    async with chat(size=(120, 50)) as it:
        await it.hold(at=4)
        await it.press("ctrl+l")
        await it.until(lambda: "·mirror" in it.transcript())
        assert "·reflecting" not in it.transcript()
        it.knobs.go.set()
        await it.until(lambda: "·reflecting" in it.transcript())


async def test_colours_go_round_with_a_legend_and_score_the_prompt(chat):
    async with chat() as it:
        reply = await it.ask("who calls")
        assert not it.app.chat.query_one(Legend).display
        legends = []
        for _ in range(3):
            await it.press("alt+s")
            legends.append(it.app.chat.query_one(Legend).render_line(0).text.split("  ")[0])
        assert legends == ["surprise in nats", "entropy in nats", "rank"]
        question = it.session.turns[0]
        await it.until(lambda: question.given and question.given[-1].rank is not None)
        assert it.knobs.questions[0] == Score(it.knobs.questions[0].prompt)
        assert it.knobs.questions[0].prompt.ids == reply.prompt
        scored = next(t for t in reply.tokens if step_of("rank", t) == 1 and t.text.strip())
        coloured = next(s.style.color for s in segments(it) if s.text == scored.text)
        await it.press("alt+s")
        assert not it.app.chat.query_one(Legend).display
        plain = next(s for s in segments(it) if scored.text.strip() in s.text)
        assert plain.style.color != coloured


async def test_the_entropy_curve_marks_the_selected_token_and_can_be_clicked(chat):
    async with chat() as it:
        reply = await it.ask()
        transcript = it.app.chat.query_one(Transcript)
        row = next(y for y in range(transcript.size.height) if "entropy, █" in transcript.render_line(y).text)
        line = transcript.render_line(row).text
        left = transcript._left + 2
        assert len(line[left:].split(" ")[0]) == len(reply.tokens)
        await it.pilot.click(Transcript, offset=(left + 6, row))
        await it.pilot.pause()
        assert it.session.lookout.pin == (reply, 6)
        marked = [s for s in transcript.render_line(row) if s.style.reverse]
        assert [s.text for s in marked] == [line[left + 6]]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_rank_plot_shows_model_and_sampled_and_follows_the_temperature(chat, size):
    async with chat(size=size) as it:
        await it.ask()
        await it.press("f2", "left", "alt+p")
        await it.until(lambda: "slope -1.40" in it.text())
        assert isinstance(it.app.screen, RankPlotScreen)
        assert any("\u2801" <= character <= "\u28ff" for character in it.text())
        assert "rank 1" in it.text() and "100%" in it.text()
        await it.press("alt+up")
        await it.until(lambda: "sampled at T 0.85" in it.text())
        assert it.session.values.sampling.temperature == 0.85
        await it.press("escape")
        assert it.app.screen is it.app.chat
