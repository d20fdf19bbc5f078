"""Talking: sending, streaming, stopping, asking again, beginning anew."""

from __future__ import annotations

from scripted_model import CHINESE, HAIKU, WORDS, vocabulary

from chatterm.records.generation import Message
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.transcript import Transcript


async def test_a_question_gets_a_streamed_answer(chat):
    async with chat() as it:
        reply = await it.ask("Write a haiku about the sea.")
        assert reply.text == "".join(HAIKU)
        assert reply.finish == "end"
        assert "Write a haiku about the sea." in it.transcript()
        assert "reflecting the beauty of" in it.transcript()
        assert it.knobs.chats[0].messages == (Message("user", "Write a haiku about the sea."),)


async def test_the_growing_reply_is_drawn_while_it_is_written(chat):
    async with chat() as it:
        live = await it.hold(at=5)
        await it.until(lambda: "The ocean's mirror,▌" in it.transcript())
        assert live.live
        it.knobs.go.set()
        await it.until(lambda: it.session.live is None)
        await it.until(lambda: "the deep blue moon." in it.transcript())
        assert "▌ you" in it.transcript() and "moon.▌" not in it.transcript()


async def test_escape_stops_and_keeps_what_was_written(chat):
    async with chat() as it:
        live = await it.hold(at=4)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        assert live.finish == "stopped"
        assert live.text == "".join(HAIKU[:4])
        await it.until(lambda: "stopped by you" in it.transcript())


async def test_a_message_sent_during_a_reply_is_answered_after_it(chat):
    async with chat() as it:
        it.knobs.replies = [HAIKU, CHINESE]
        await it.hold("one")
        await it.say("two")
        assert [turn.role for turn in it.session.turns] == ["user", "assistant", "user"]
        it.knobs.hold_at = None
        it.knobs.go.set()
        await it.until(lambda: len(it.session.turns) == 4 and it.session.live is None)
        roles = [message.role for message in it.knobs.chats[1].messages]
        assert roles == ["user", "assistant", "user"]
        assert it.session.turns[3].text == "".join(CHINESE)


async def test_the_history_goes_to_the_model_with_the_system_prompt(chat):
    async with chat(system_prompt="Be brief.") as it:
        await it.ask("one")
        await it.ask("two")
        messages = it.knobs.chats[1].messages
        assert [m.role for m in messages] == ["system", "user", "assistant", "user"]
        assert messages[0].content == "Be brief."


async def test_ctrl_n_begins_anew(chat):
    async with chat() as it:
        await it.ask()
        await it.press("ctrl+n")
        assert it.session.turns == []
        assert "Try:" in it.text()
        await it.ask("again")
        assert [m.content for m in it.knobs.chats[1].messages] == ["again"]


async def test_ctrl_n_during_a_reply_stops_it_and_does_not_mix_them(chat):
    async with chat() as it:
        await it.hold()
        await it.press("ctrl+n")
        await it.until(lambda: it.session.live is None)
        assert it.session.turns == []
        it.knobs.hold_at = None
        await it.ask("fresh")
        assert [turn.role for turn in it.session.turns] == ["user", "assistant"]


async def test_ctrl_r_writes_another_reply_beside_the_first(chat):
    async with chat() as it:
        it.knobs.replies = [HAIKU, CHINESE]
        first = await it.ask()
        await it.press("ctrl+r")
        await it.until(lambda: it.session.last_reply is not first and it.session.live is None)
        await it.until(lambda: "‹ 2/2 ›" in it.transcript())
        assert it.session.last_reply.text == "".join(CHINESE)
        await it.press("alt+left")
        await it.until(lambda: it.session.last_reply.text == "".join(HAIKU))
        await it.until(lambda: "‹ 1/2 ›" in it.transcript())


async def test_a_seed_is_drawn_for_each_reply_unless_the_user_chose_one(chat):
    async with chat() as it:
        await it.ask()
        assert it.session.values.sampling.seed == 4711
        it.session.change(seed=7)
        await it.ask("again")
        assert it.session.values.sampling.seed == 7
        it.session.free_seed()
        await it.ask("and again")
        assert it.session.values.sampling.seed == 4711


async def test_the_conversation_follows_its_end_until_the_user_scrolls_up(chat):
    async with chat(size=(100, 24)) as it:
        for number in range(6):
            await it.ask(f"question {number}")
        transcript = it.app.chat.query_one(Transcript)
        assert transcript.following and transcript.scroll_y == transcript.max_scroll_y > 0
        await it.press("pageup")
        top = transcript.scroll_y
        assert not transcript.following
        live = await it.hold("question 6", at=2)
        assert transcript.following, "sending takes one to the end"
        await it.press("pageup")
        top = transcript.scroll_y
        it.knobs.go.set()
        await it.until(lambda: not live.live)
        assert transcript.scroll_y == top, "a growing reply does not move what is being read"
        await it.press("ctrl+end")
        assert transcript.following and transcript.scroll_y == transcript.max_scroll_y


async def test_foreign_text_is_inert(chat, knobs):
    nasty = "[bold]x[/bold]\x1b[31m\x9b2J\u202e$evil"
    knobs.replies = [[nasty, " the"]]
    with vocabulary((*WORDS, nasty)):
        async with chat() as it:
            await it.ask("\x1b[2J[red]hello[/red]")
            shown = it.transcript()
            assert "[bold]x[/bold]␛[31m�2J�$evil the" in shown
            assert "␛[2J[red]hello[/red]" in shown
            assert not any(c in it.text() for c in "\x1b\x9b\u202e")


async def test_only_what_is_near_is_laid_out_at_first(chat):
    from chatterm.chat.turns import Turn
    from chatterm.tui.widgets.turn_list import AT_ONCE

    async with chat() as it:
        await it.ready()
        turns = [Turn("user" if n % 2 == 0 else "assistant", f"message {n}") for n in range(200)]
        it.session._show(turns)
        transcript = it.app.chat.query_one(Transcript)
        await it.until(lambda: "message 199" in it.transcript())
        assert len(transcript._views) == AT_ONCE
        before = it.transcript()
        while transcript._first:
            await it.press("ctrl+home")
        assert len(transcript._views) == 200
        await it.press("ctrl+home")
        assert "message 0" in it.transcript()
        await it.press("ctrl+end")
        assert it.transcript() == before


async def test_an_example_of_the_welcome_is_asked_by_key_and_mouse(chat):
    async with chat() as it:
        await it.ready()
        await it.pilot.click("Example")
        await it.until(lambda: it.session.turns)
        assert it.session.turns[0].text == "Write three lines about the sea."
        assert isinstance(it.app.focused, Composer)
