"""What the slash commands do. Each gets the chat and what was written behind the name.

A `UserError` is shown as a sentence, and the message stays as it was written.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
from textual.app import App
from textual.message import Message

from chatterm import inert, paths
from chatterm.chat import unsaved_copy
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import messages
from chatterm.tui.text.code import code_blocks
from chatterm.tui.widgets.knobs import BY_FIELD, HIGHEST_SEED, whole_number

if TYPE_CHECKING:
    from chatterm.chat.session import ChatSession
    from chatterm.library.exports import Format


class Chat(Protocol):
    """What a command needs of the chat's screen."""

    @property
    def session(self) -> ChatSession:
        """The conversation and what is done to it."""
        ...

    @property
    def app(self) -> App[object]:
        """The application."""
        ...

    async def run_action(self, action: str) -> None:
        """Do what a key does."""
        ...

    def notify(self, message: str, *, timeout: float | None = None, markup: bool = True) -> None:
        """Say something at the edge of the screen."""
        ...

    def post_message(self, message: Message) -> bool:
        """Ask the screen for something."""
        ...

    async def attach(self, path: Path) -> None:
        """Let a file go along with the message."""
        ...

    def detach_all(self) -> None:
        """No file goes along with the message."""
        ...


Act = Callable[[Chat, str], Awaitable[None]]

_SHORT = {"md": "markdown", "txt": "text"}


def knob(field: str) -> Act:
    """Turns one sampling value; without a number the table of all is opened there."""

    async def turn(chat: Chat, rest: str) -> None:
        one = BY_FIELD[field]
        if not rest:
            await chat.run_action(f"parameters({field!r})")
            return
        value = one.neutral if rest == "off" and one.neutral is not None else _number(rest)
        try:
            if not math.isfinite(value):
                raise ValueError
            chat.session.change(**{field: int(value) if not one.decimals else value})
        except (msgspec.ValidationError, OverflowError, ValueError) as error:
            raise UserError(
                _("{value} is not possible for {name}: it goes from {low} to {high}.").format(
                    value=inert.line(rest)[:40], name=one.title, low=f"{one.low:g}", high=f"{one.high:g}"
                )
            ) from error
        chat.notify(f"{one.title}: {one.show(chat.session.values.sampling)}")

    return turn


def _path(text: str) -> Path:
    return paths.expand(text.strip('"')).absolute()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(_("{text} is no number.").format(text=inert.line(text)[:40])) from error


async def seed(chat: Chat, rest: str) -> None:
    """Choose the seed, or draw one for each reply."""
    if not rest:
        chat.session.free_seed()
        chat.notify(_("Each reply draws a new seed."))
        return
    number = whole_number(rest)
    if number is None:
        raise UserError(_("A seed is a whole number up to {highest}.").format(highest=HIGHEST_SEED))
    chat.session.change(seed=number)
    chat.notify(_("seed: {seed}").format(seed=number))


async def help_(chat: Chat, rest: str) -> None:
    """Keys and commands."""
    await chat.run_action("app.help")


async def new(chat: Chat, rest: str) -> None:
    """A new conversation."""
    await chat.run_action("new")


async def resume(chat: Chat, rest: str) -> None:
    """Earlier conversations."""
    number = whole_number(rest)
    if not rest:
        await chat.run_action("conversations")
    elif number is not None:
        await chat.session.resume(number)
    else:
        raise UserError(_("Give the number of a conversation; without one, /resume lists them."))


async def retry(chat: Chat, rest: str) -> None:
    """Another reply."""
    await chat.run_action("regenerate")


async def continue_(chat: Chat, rest: str) -> None:
    """Let the reply go on."""
    reply = chat.session.last_reply
    if reply is None or chat.session.live is not None:
        raise UserError(_("There is no ended reply that could go on."))
    chat.session.continue_reply(reply)


async def edit(chat: Chat, rest: str) -> None:
    """Choose a message, to edit it."""
    await chat.run_action("choose_message")


async def stop(chat: Chat, rest: str) -> None:
    """Stop the reply."""
    if not chat.session.stop():
        raise UserError(_("No reply is being written."))


async def system(chat: Chat, rest: str) -> None:
    """Set the system prompt, or edit it."""
    if not rest:
        await chat.run_action("edit_system_prompt")
        return
    chat.session.system_prompt = rest
    chat.notify(_("The system prompt of this conversation is changed."))


async def preset(chat: Chat, rest: str) -> None:
    """Take a preset, save one, or choose."""
    from chatterm.presets import load_preset
    from chatterm.tui.commands import presets

    word, _space, name = rest.partition(" ")
    if not rest:
        await chat.run_action("presets")
    elif word == "save":
        if not name.strip():
            raise UserError(_("Give the preset a name: /preset save NAME."))
        saved = presets.save(chat.session, name)
        chat.notify(_("Saved the preset {name}.").format(name=saved.name))
    else:
        presets.apply(chat.session, load_preset(rest))
        chat.notify(_("The preset {name} is in force in this conversation.").format(name=inert.line(rest)))


async def model(chat: Chat, rest: str) -> None:
    """Load a model, or choose one."""
    if rest:
        chat.app.post_message(messages.ModelChosen(rest))
    else:
        await chat.run_action("pick")


async def compare(chat: Chat, rest: str) -> None:
    """The loaded model and another one, side by side."""
    if rest:
        chat.post_message(messages.CompareModelWanted(rest))
    else:
        await chat.run_action("compare_models")


async def attach(chat: Chat, rest: str) -> None:
    """A file goes along."""
    if not rest:
        raise UserError(_("Name a file: /attach FILE."))
    await chat.attach(_path(rest))


async def clear(chat: Chat, rest: str) -> None:
    """No file goes along."""
    if rest not in ("", "attachments"):
        raise UserError(_("/clear takes the attachments away; /new begins a new conversation."))
    chat.detach_all()


async def editor(chat: Chat, rest: str) -> None:
    """The user's own editor."""
    await chat.run_action("edit_outside")


async def tokens(chat: Chat, rest: str) -> None:
    """How a text is cut into tokens."""
    engine = chat.session.engines.engine
    if not rest:
        await chat.run_action("context")
    elif engine is None:
        raise UserError(_("No model is loaded that could cut a text into tokens."))
    else:
        cut = (await engine.tokenize(rest)).tokens
        shown = " ".join(f"{inert.token(token.text)}({token.id})" for token in cut[:60])
        chat.notify(f"{len(cut)}: {shown}{' …' if len(cut) > 60 else ''}", timeout=20, markup=False)


async def context(chat: Chat, rest: str) -> None:
    """What fills the window."""
    await chat.run_action("window")


async def raw(chat: Chat, rest: str) -> None:
    """The rendered template."""
    await chat.run_action("raw")


async def copy(chat: Chat, rest: str) -> None:
    """Copy the last reply."""
    reply = chat.session.last_reply
    if reply is None:
        raise UserError(_("There is no reply to copy."))
    text = reply.text[reply.thought[1] :].strip() if reply.thought else reply.text
    if rest == "code":
        blocks = code_blocks(text)
        if not blocks:
            raise UserError(_("There is no block of code in the last reply."))
        text = blocks[-1].code
    elif rest:
        raise UserError(_("/copy copies the last reply, /copy code its last block of code."))
    chat.app.copy_to_clipboard(text)
    chat.notify(_("Copied {count} characters.").format(count=len(text)))


async def export(chat: Chat, rest: str) -> None:
    """Write the conversation to a new file."""
    from chatterm.library.exports import FORMATS, SUFFIXES, export, format_of
    from chatterm.library.exports.files import write

    session, keeper = chat.session, chat.session.keeper
    number = keeper.conversation
    if number is None and not keeper.is_behind:
        raise UserError(_("Nothing has been said yet, so there is nothing to export."))
    word, _space, name = rest.partition(" ")
    chosen: Format | None = next((one for one in FORMATS if one == _SHORT.get(word, word)), None)
    name = name.strip() if chosen else rest
    if chosen is None:
        chosen = format_of(Path(name)) if name else "markdown"
    suffix = next(suffix for suffix, format_ in SUFFIXES.items() if format_ == chosen)
    path = _path(name or f"conversation-{number or 'unsaved'}{suffix}")
    if number is None or keeper.is_behind:
        whole = await unsaved_copy.shown(
            session.turns, model=keeper.model, system_prompt=keeper.system_prompt
        )
    else:
        whole = await (await keeper.library()).whole(number)
    text = await asyncio.to_thread(export, [whole], chosen)  # a message may be long, and is parsed often
    write(path, text.encode(), otherwise=_("nothing was written; name another file"))
    told = _("Written to {path}.").format(path=inert.line(str(path)))
    if keeper.is_behind:
        rest = _("What could not be saved is in it; branches that are not on the screen are not.")
        told = f"{told} {rest}"
    chat.notify(told, timeout=10)


async def import_(chat: Chat, rest: str) -> None:
    """Add the conversations of a file."""
    from chatterm.library.imports import read_file

    if not rest:
        raise UserError(_("Name a file: /import FILE."))
    found = read_file(_path(rest))
    library = await chat.session.keeper.library()
    added = await library.add_conversations(found.conversations)
    for notice in found.notices:
        chat.notify(inert.line(notice), timeout=10)
    chat.notify(_("Imported {count} ({kind}); /resume lists them.").format(count=len(added), kind=found.kind))


async def quit_(chat: Chat, rest: str) -> None:
    """Leave."""
    await chat.run_action("app.quit")
