"""The interface with hostile texts everywhere: what it draws, what it writes, and that it lives on."""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, patch

from textual import events
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from chatterm.library import AsyncLibrary
from chatterm.settings import Settings
from chatterm.tui import keys
from chatterm.tui.app import ChattermApp
from chatterm.tui.widgets.composer import Composer
from tests.faults.hostile import HostileKnobs, Villain, conversation, home, litter, vocabulary
from tests.faults.oracle import complaint, strip_complaint, terminal_complaint

SIZES = ((120, 36), (80, 24), (160, 48), (50, 16))
PATIENCE = 600.0
"""Seconds after which a session that does not come to rest is given up; never how long one takes."""

_LEFT_OUT = ("app.quit", "edit_outside", "suspend", "copy_text")
_CLIPBOARD = re.compile(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")


def case(numbers: random.Random, folder: Path) -> str:
    """A session of a few acts, with a look at the screen after each."""
    villain = Villain(numbers)
    with home(folder), vocabulary(villain):
        return asyncio.run(_session(villain, folder))


async def _session(villain: Villain, folder: Path) -> str:
    written: list[str] = []
    numbers = villain.numbers
    size = numbers.choice(SIZES)
    kind = numbers.choice(list(ACTS))
    documents = [conversation(villain, "sea") for _ in range(numbers.randrange(1, 4))]
    notice = villain.text(200)

    async def library() -> AsyncLibrary:
        opened = await AsyncLibrary.in_memory(notice)
        await opened.add_conversations(documents)
        return opened

    knobs = HostileKnobs(villain)
    app = ChattermApp(
        Settings(model=villain.text(100), language="en", system_prompt=villain.text(400)),
        start_engine=knobs.start,
        library=library,
        resume=numbers.random() < 0.6,
        draw=lambda: 4711,
    )
    with (
        patch.object(HeadlessDriver, "write", lambda self, data: written.append(data)),
        patch.object(HeadlessDriver, "is_headless", PropertyMock(return_value=False)),
    ):
        async with (
            asyncio.timeout(PATIENCE),
            app.run_test(size=size, notifications=True, tooltips=True) as pilot,
        ):
            session = Session(app, pilot, villain, folder, written)
            await session.settle()
            session.look("the start")
            for act in numbers.sample(ACTS[kind], min(3, len(ACTS[kind]))):
                await act(session)
                await session.settle()
                session.look(act.__name__)
            await app.session.close()
    session.look_at_bytes("the end")
    return f"screen: {kind}"


class Session:
    """A running interface and what a case does with it."""

    def __init__(
        self, app: ChattermApp, pilot: Pilot[Any], villain: Villain, folder: Path, written: list[str]
    ) -> None:
        self.app, self.pilot, self.villain, self.folder, self.written = app, pilot, villain, folder, written

    async def settle(self) -> None:
        """Until the model is there, or cannot be, and no reply is being written."""
        while not (self.app.session.info or self.app.session.host.trouble) or self.app.session.host.is_busy:
            await self.pilot.pause(0.01)
        while self.app.session.live is not None:
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    def look(self, after: str) -> None:
        """At every cell of the screen, and at what went to the terminal."""
        rows = self.app.screen._compositor.render_strips()
        found = strip_complaint(rows)
        assert not found, f"after {after}: {found}"
        self.look_at_bytes(after)

    def look_at_bytes(self, after: str) -> None:
        text = "".join(self.written)
        self.written.clear()
        for copied in _CLIPBOARD.findall(text):
            found = complaint(base64.b64decode(copied).decode(), allowed="\n\t")
            assert not found, f"after {after}, in the clipboard: {found}"
        width, height = self.app.size
        found = terminal_complaint(_CLIPBOARD.sub("", text), width, height)
        assert not found, f"after {after}, written: {found}"

    async def act(self, name: str) -> None:
        """An action of the screen that is on top."""
        await self.app.chat.run_action(name)
        await self.pilot.pause()

    async def press(self, *names: str) -> None:
        await self.pilot.press(*names)


# --- acts -----------------------------------------------------------------------------------------------

Act = Callable[[Session], Awaitable[None]]


async def say(session: Session) -> None:
    composer = session.app.chat.query_one(Composer)
    composer.focus()
    composer.put(session.villain.text(800).lstrip("/"))
    await session.press("enter")


async def paste(session: Session) -> None:
    composer = session.app.chat.query_one(Composer)
    composer.focus()
    composer.post_message(events.Paste(session.villain.wild()))


async def tell(session: Session) -> None:
    session.app.session.tell(session.villain.wild())
    session.app.chat.notify(session.villain.wild(400))
    session.app.notify(session.villain.wild(400), title=session.villain.wild(100), severity="error")


async def unfold_thinking(session: Session) -> None:
    await session.act("fold")


async def colours(session: Session) -> None:
    for _ in range(session.villain.numbers.randrange(1, 4)):
        await session.act("colour")


async def all_tokens(session: Session) -> None:
    await session.act("context")


async def walk(session: Session) -> None:
    await session.act("select_tokens")
    await session.press(*session.villain.numbers.choices(("left", "right", "up", "home", "down"), k=4))


async def message_bar(session: Session) -> None:
    await session.act("choose_message")
    await session.press(*session.villain.numbers.choices(("up", "down", "left", "right", "y", "t", "k"), k=4))


async def view(session: Session) -> None:
    names = ("next", "lens", "attention", "contributions", "neurons", "embeddings", "edits")
    await session.act(f"open_view('{session.villain.numbers.choice(names)}')")
    await session.pilot.pause(0.05)
    letters = ("up", "down", "left", "right", "g", "h", "p", "s", "r", "o", "comma", "full_stop", "e")
    await session.press(*session.villain.numbers.choices(letters, k=5))
    await session.pilot.pause(0.05)


async def glass_dialog(session: Session) -> None:
    view, key = session.villain.numbers.choice(
        (
            ("contributions", "t"),
            ("embeddings", "w"),
            ("embeddings", "a"),
            ("embeddings", "l"),
            ("edits", "d"),
        )
    )
    await session.act(f"open_view('{view}')")
    await session.act("enter_panel")
    await session.press(key)
    for field in session.app.screen.query(Input):
        field.value = session.villain.text(200)
    await session.press("enter", "enter", "enter")


async def another_screen(session: Session) -> None:
    names = (
        "pick",
        "continuations",
        "window",
        "rank_plot",
        "tree",
        "presets",
        "parameters",
        "settings",
        "help",
    )
    await session.act(session.villain.numbers.choice(names))
    await session.pilot.pause(0.05)
    await session.press(*session.villain.numbers.choices(("down", "up", "right", "space", "left"), k=3))


async def any_action(session: Session) -> None:
    known = [key for key in keys.of("chat") if not any(name in key.action for name in _LEFT_OUT)]
    for key in session.villain.numbers.sample(known, 3):
        await session.act(key.action)
        session.look(key.action)


async def picker(session: Session) -> None:
    await session.act("pick")
    await session.pilot.pause(0.05)
    await session.press(*session.villain.numbers.choices(("down", "up", "enter", "r"), k=4))


async def compare(session: Session) -> None:
    await session.act("compare")
    await session.act("self_check")


async def sidebar(session: Session) -> None:
    await session.act("conversations")
    await session.pilot.pause(0.05)
    await session.press(*session.villain.numbers.choices(("down", "up", "p", "d", "u", "enter"), k=4))


async def rename(session: Session) -> None:
    await session.act("conversations")
    await session.pilot.pause(0.05)
    await session.press("r")
    session.app.chat.query_one("#name", Input).value = session.villain.text(300)
    await session.press("enter")


async def search(session: Session) -> None:
    await session.act("find")
    session.app.chat.query_one("#search", Input).value = session.villain.numbers.choice(
        ("sea", "\x1b", "[", "pwned", session.villain.text(30))
    )
    await session.pilot.pause(0.4)
    session.look("search")
    await session.press("enter", "down", "enter")


async def palette(session: Session) -> None:
    await session.act("app.command_palette")
    await session.pilot.pause(0.05)
    found = session.villain.numbers.choice(("e", "a", "[", "pwned", "31337", "go"))
    session.app.screen.query_one(Input).value = found
    await session.pilot.pause(0.4)
    session.look("the palette")
    await session.press("down", "escape")


async def edit(session: Session) -> None:
    await session.act("choose_message")
    await session.press(*["up"] * session.villain.numbers.randrange(3), "e")


async def raw(session: Session) -> None:
    await session.act("raw")
    await session.press(*session.villain.numbers.choices(("up", "left", "ctrl+l"), k=4))


async def system_prompt(session: Session) -> None:
    await session.act("edit_system_prompt")
    area = session.app.screen.query(TextArea)
    if area:
        area.first().load_text(session.villain.wild())
    await session.press("up", "left", "home")


async def write(session: Session) -> None:
    composer = session.app.chat.query_one(Composer)
    composer.put(session.villain.wild())
    composer.focus()
    await session.press("left", "up", "home")


async def attach(session: Session) -> None:
    for path in litter(session.villain, session.folder):
        await session.app.chat.attach(path)
    await session.press("left", "enter")


async def complete(session: Session) -> None:
    litter(session.villain, session.folder, 12)
    composer = session.app.chat.query_one(Composer)
    composer.focus()
    composer.put(session.villain.numbers.choice(("@", "look at @", "@a", "@.")))
    await session.pilot.pause(0.1)
    session.look("completions")
    await session.press("down", "tab")


async def command(session: Session) -> None:
    composer = session.app.chat.query_one(Composer)
    composer.focus()
    name = session.villain.numbers.choice(
        (
            "attach",
            "tokens",
            "system",
            "preset",
            "model",
            "seed",
            "export",
            "import",
            "resume",
            "temperature",
            "copy",
            "x",
        )
    )
    composer.put(f"/{name} {session.villain.text(200)}".replace("\n", " "))
    await session.press("enter", "enter")


async def presets(session: Session) -> None:
    folder = session.folder / "config" / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(litter(session.villain, folder)):
        if path.is_file():
            path.rename(folder / (f"{path.name}.toml" if number % 2 else f"p{number}.toml"))
    (folder / "nice.toml").write_text(
        'description = "\\u001b]0;pwned\\u0007[bold]"\nsystem_prompt = "\\u202e"\n'
    )
    await session.act("presets")
    await session.pilot.pause(0.05)
    await session.press(*session.villain.numbers.choices(("down", "up", "enter", "d", "u"), k=4))


ACTS: dict[str, tuple[Act, ...]] = {
    "the chat": (say, paste, tell, unfold_thinking, colours, all_tokens, walk, message_bar),
    "the glass box": (say, walk, view, view, view, glass_dialog, compare),
    "other screens": (say, another_screen, another_screen, any_action, picker, compare, tell),
    "conversations": (sidebar, rename, search, palette, say, message_bar),
    "editors": (edit, raw, system_prompt, write, paste),
    "files": (attach, complete, command, command, presets, paste),
}
"""What a case does, by the part of the interface."""
