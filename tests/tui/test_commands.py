"""Slash commands, in the table and in the chat."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from chatterm.errors import UserError
from chatterm.sampling import SamplingParameters
from chatterm.tui.commands.table import BY_NAME, COMMANDS, Call, document, matching, parse
from chatterm.tui.dialogs.context import ContextScreen
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.knobs import BY_FIELD

# --- the table ------------------------------------------------------------------------------------------


def test_the_documented_commands_are_those_there_are():
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
    assert document() in text


def test_there_is_a_command_for_every_knob_and_no_name_twice():
    assert len(BY_NAME) == len(COMMANDS)
    for field in BY_FIELD:
        assert field in SamplingParameters.__struct_fields__
        assert field.replace("_", "-") in BY_NAME


def test_what_is_a_command_and_what_is_sent():
    assert parse("Hello /temperature") == "Hello /temperature"
    assert parse("//etc/passwd") == "/etc/passwd"
    assert parse("/Top_P 0.5") == Call(BY_NAME["top-p"], "0.5")
    assert parse("/system one\ntwo") == Call(BY_NAME["system"], "one\ntwo")
    assert parse("/retry") == Call(BY_NAME["retry"], "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/etc/passwd what is it?", "write //etc/passwd to send it as it is, or @/etc/passwd"),
        ("/temprature 1", "did you mean /temperature"),
        ("/zzz", "/help lists them"),
        ("/", "is no command"),
        ("/ hello", "is no command"),
        ("/苹果", "is no command"),
    ],
)
def test_what_is_neither_is_refused_with_a_sentence(text, words):
    with pytest.raises(UserError, match=words):
        parse(text)


def test_names_that_begin_so_come_first():
    assert matching("te")[0].name == "temperature"


# --- in the chat ----------------------------------------------------------------------------------------


async def command(running, text):
    composer = running.app.chat.query_one(Composer)
    composer.focus()
    composer.put(text)
    composer.action_send()
    await running.until(lambda: composer._sending is None)
    await running.pilot.pause()


async def test_commands_change_values_and_say_nothing_to_the_model(chat):
    async with chat() as running:
        await running.ready()
        await command(running, "/temperature 0.35")
        await running.until(lambda: running.session.values.sampling.temperature == 0.35)
        await command(running, "/top-k off")
        await running.until(lambda: running.session.values.sampling.top_k == 0)
        await command(running, "/seed 7")
        await running.until(lambda: running.session.values.sampling.seed == 7)
        await command(running, "/system 说中文。")
        await running.until(lambda: running.session.system_prompt == "说中文。")
        assert running.session.turns == []


async def test_what_is_refused_stays_in_the_composer(chat):
    async with chat() as running:
        await running.ready()
        for text in ("/nonsense", "/etc/passwd?", "/temperature hot", "/temperature -3", "/copy"):
            await command(running, text)
            composer = running.app.chat.query_one(Composer)
            await running.until(lambda composer=composer, text=text: composer.text == text)
            composer.put("")
        assert running.session.turns == []


@pytest.mark.parametrize("name", ["seed", "resume", *sorted(field.replace("_", "-") for field in BY_FIELD)])
async def test_numbers_that_cannot_be_are_a_sentence(chat, name):
    async with chat() as running:
        await running.ready()
        before = running.session.values.sampling
        is_whole = name in ("seed", "resume") or not BY_FIELD[name.replace("-", "_")].decimals
        for number in ("nan", "-inf", "1e999", "9" * 5000, "-1e30", *["9" * 30] * is_whole):
            text = f"/{name} {number}"
            await command(running, text)
            composer = running.app.chat.query_one(Composer)
            await running.until(lambda composer=composer, text=text: composer.text == text)
            composer.put("")
        assert running.session.values.sampling == before


async def test_the_popup_completes_with_tab_and_enter(chat):
    async with chat() as running:
        await running.ready()
        offered = running.app.chat.query_one(Completions)
        composer = running.app.chat.query_one(Composer)
        composer.focus()
        await running.press("slash", "t", "e", "m")
        await running.until(lambda: offered.is_open)
        await running.press("tab")
        await running.until(lambda: composer.text == "/temperature ")
        assert not offered.is_open
        composer.put("")
        await running.press("slash", "p", "r", "e")
        await running.until(lambda: offered.is_open)
        await running.press("down", "escape")
        assert not offered.is_open
        assert composer.text == "/pre"


async def test_files_are_attached_by_name_and_by_completion(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "说明 书.txt").write_text("一\n二\n")
    (tmp_path / "a.py").write_text("print(1)\n")
    (tmp_path / "b.bin").write_bytes(b"\0\0")
    async with chat() as running:
        await running.ready()
        chips = running.app.chat.query_one(Chips)
        composer = running.app.chat.query_one(Composer)
        composer.focus()
        composer.insert("看 @说")
        await running.until(lambda: running.app.chat.query_one(Completions).is_open)
        await running.press("enter")
        await running.until(lambda: chips.attachments)
        assert composer.text == "看 "
        assert chips.attachments[0].lines == 2
        composer.put("@b.bin")
        await running.press("escape")
        composer.action_send()
        await running.until(lambda: composer.text == "@b.bin")
        assert running.session.turns == []
        composer.put("What does @a.py do?")
        await running.until(lambda: not running.app.chat.query_one(Completions).is_open)
        composer.action_send()
        await running.until(lambda: running.session.turns)
        assert running.session.turns[0].text == (
            "说明 书.txt:\n\n```txt\n一\n二\n```\n\na.py:\n\n```py\nprint(1)\n```\n\nWhat does @a.py do?"
        )
        assert not chips.attachments


async def test_a_long_paste_becomes_a_chip_that_can_be_unfolded(chat):
    from textual import events

    async with chat() as running:
        await running.ready()
        chips = running.app.chat.query_one(Chips)
        composer = running.app.chat.query_one(Composer)
        composer.focus()
        text = "\n".join(f"line {n}" for n in range(40))
        composer.post_message(events.Paste(text))
        await running.until(lambda: chips.attachments)
        assert chips.attachments[0].lines == 40
        await running.until(lambda: "40 lines" in chips.render_line(0).text)
        chips.focus()
        await running.press("enter")
        await running.until(lambda: composer.text == text)
        assert not chips.attachments


async def test_what_is_copied_cannot_act_where_it_is_pasted(chat):
    async with chat() as running:
        reply = await running.ask()
        reply.text = "Look \x1b[201~here:\n\n```sh\necho\x1b[201~\n```\n"
        await command(running, "/copy")
        await running.until(lambda: running.app.clipboard == reply.text.replace("\x1b", "␛"))
        await command(running, "/copy code")
        await running.until(lambda: running.app.clipboard == "echo␛[201~\n")


async def test_the_users_own_editor(chat, tmp_path, monkeypatch):
    script = tmp_path / "my editor"
    script.write_text('#!/bin/sh\necho 苹果 >> "$1"\n')
    script.chmod(0o700)
    monkeypatch.setenv("VISUAL", f'"{script}"')
    async with chat() as running:
        await running.ready()
        monkeypatch.setattr(HeadlessDriver, "can_suspend", True)
        composer = running.app.chat.query_one(Composer)
        composer.focus()
        composer.put("an ")
        await running.press("ctrl+e")
        await running.until(lambda: composer.text == "an 苹果")
        monkeypatch.setenv("VISUAL", "/bin/false")
        await running.press("ctrl+e")
        await running.until(lambda: any("status 1" in n.message for n in running.app._notifications))
        assert composer.text == "an 苹果"


async def test_export_never_overwrites(chat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with chat() as running:
        await running.ask("苹果?")
        await command(running, "/export md talk.md")
        await running.until(lambda: (tmp_path / "talk.md").exists())
        assert "苹果?" in (tmp_path / "talk.md").read_text("utf-8")
        (tmp_path / "talk.md").write_text("mine")
        await command(running, "/export talk.md")
        composer = running.app.chat.query_one(Composer)
        await running.until(lambda: composer.text == "/export talk.md")
        assert (tmp_path / "talk.md").read_text() == "mine"


async def test_export_does_not_hold_up_the_keys(chat, tmp_path, monkeypatch):
    from chatterm.library import exports

    threads = []
    monkeypatch.setattr(
        exports, "export", lambda *_: threads.append(threading.current_thread()) or "all of it"
    )
    async with chat() as running:
        await running.ask("苹果?")
        await command(running, f"/export md {tmp_path / 'talk.md'}")
        await running.until(lambda: (tmp_path / "talk.md").exists())
    assert threads and threads[0] is not threading.main_thread()


async def test_copying_code_looks_at_the_reply_as_it_is_shown(chat):
    async with chat() as running:
        await running.ask()
        reply = running.session.last_reply
        reply.text = "- a\n\n  ```py\n  x = 1\n  ```\n\n````\n```y\n````\n" + "```z\n" * 3000
        await command(running, "/copy code")
        await running.until(lambda: running.app.clipboard)
        assert running.app.clipboard == "```z\n" * 2999


# --- the window -----------------------------------------------------------------------------------------


async def test_a_message_that_does_not_fit_is_not_sent_until_something_is_left_out(chat):
    async with chat() as running:
        await running.ask(("one " * 60).strip())
        await running.ask(("two " * 60).strip())
        long = ("three " * 100).strip()
        await command(running, long)
        await running.until(lambda: isinstance(running.app.screen, ContextScreen))
        assert len([turn for turn in running.session.turns if turn.role == "user"]) == 2
        assert running.app.chat.query_one(Composer).text == long
        await running.press("o")
        await running.until(lambda: running.session.turns[0].left_out)
        await running.press("escape")
        await command(running, long)
        await running.until(lambda: running.session.live is None and len(running.knobs.chats) == 3)
        sent = running.knobs.chats[-1].messages
        assert not any("one" in message.content for message in sent)
        assert [message.content for message in sent][-1] == long
        running.app.chat.query_one("Transcript").scroll_home(animate=False)
        await running.until(lambda: "not sent to the model" in running.transcript())
        filling = await running.session.fill()
        assert filling.of("user") == 160
        assert filling.used == sum(part.tokens for part in filling.parts)
