"""Writing a message."""

from __future__ import annotations

from textual import events

from chatterm.tui.widgets.composer import Composer


async def test_enter_sends_and_ctrl_j_begins_a_line(chat):
    async with chat() as it:
        await it.ready()
        await it.press("a", "ctrl+j", "b", "alt+enter", "c", "shift+enter", "d")
        assert it.app.chat.query_one(Composer).text == "a\nb\nc\nd"
        await it.press("enter")
        await it.until(lambda: it.session.turns)
        assert it.session.turns[0].text == "a\nb\nc\nd"
        assert it.app.chat.query_one(Composer).text == ""


async def test_pasted_newlines_do_not_send(chat):
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        it.app.post_message(events.Paste("one\ntwo\n"))
        await it.pilot.pause(0.1)
        assert composer.text == "one\ntwo\n"
        assert it.session.turns == []


async def test_unmarked_pasted_text_becomes_lines_and_is_not_sent_in_pieces(chat):
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        for key, character in (("a", "a"), ("enter", "\r"), ("b", "b")):
            composer.post_message(events.Key(key, character))
        await it.pilot.pause(0.1)
        assert composer.text == "a\nb"
        assert it.session.turns == []


async def test_keys_that_edit_are_taken_in_their_turn(chat):
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        typed = (("a", "a"), ("x", "x"), ("backspace", "\x7f"), ("b", "b"), ("left", None), ("left", None))
        for key, character in (*typed, ("苹", "苹"), ("end", None), ("c", "c")):
            it.app.post_message(events.Key(key, character))
        await it.until(lambda: len(composer.text) == 4)
        assert composer.text == "苹abc"


async def test_composed_text_of_an_input_method_is_only_text(chat):
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        composer.post_message(events.Key("苹", "苹"))
        composer.post_message(events.Key("果", "果"))
        await it.pilot.pause(0.1)
        assert composer.text == "苹果"
        assert it.session.turns == []


async def test_an_empty_message_is_not_sent(chat):
    async with chat() as it:
        await it.ready()
        await it.press("space", "enter")
        await it.pilot.pause(0.1)
        assert it.session.turns == []


async def test_up_and_down_at_the_edges_walk_the_history(chat):
    async with chat() as it:
        await it.ask("first")
        await it.ask("second")
        composer = it.app.chat.query_one(Composer)
        await it.press("d", "r", "a", "f", "t", "up")
        assert composer.text == "second"
        await it.press("up")
        assert composer.text == "first"
        await it.press("up")
        assert composer.text == "first"
        await it.press("down", "down")
        assert composer.text == "draft"


async def test_it_grows_to_a_third_of_the_screen(chat):
    async with chat(size=(80, 24)) as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        assert composer.size.height == 1
        composer.put("\n".join("x" * 5 for _ in range(30)))
        await it.pilot.pause()
        assert composer.outer_size.height in (24 // 3 - 1, 24 // 3)


async def test_tokens_are_counted_while_one_writes(chat):
    async with chat() as it:
        await it.ready()
        await it.press(*"one", "space", *"two")
        await it.until(lambda: it.app.chat.query_one(Composer).border_subtitle == "2 tokens")
        it.app.chat.query_one(Composer).put("word " * 300)
        await it.until(lambda: "more than the 256" in str(it.app.chat.query_one(Composer).border_subtitle))
        it.app.chat.query_one(Composer).put("")
        await it.until(lambda: not it.app.chat.query_one(Composer).border_subtitle)


async def test_keys_that_come_all_at_once_keep_their_order(chat):
    async with chat() as it:
        await it.ready()
        composer = it.app.chat.query_one(Composer)
        for key, character in (("a", "a"), ("ctrl+j", "\n"), ("b", "b"), ("shift+enter", None), ("c", "c")):
            it.app.post_message(events.Key(key, character))
        await it.until(lambda: composer.text == "a\nb\nc")
