"""Keys, clicks and sizes in any order, in bursts, while engines load, write, fail and die.

The whole interface runs under a pilot with the scripted engine, so that a session of hundreds of keys takes
seconds: what is looked for is an order of acts that nobody thought of.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App
from textual.keys import key_to_character
from textual.pilot import Pilot

from chatterm.chat.turns import Turn
from chatterm.library import AsyncLibrary, Library
from chatterm.settings import Settings
from chatterm.tui import keys
from chatterm.tui.app import ChattermApp
from chatterm.tui.commands.table import COMMANDS
from chatterm.tui.widgets.composer import Composer
from tests.faults.campaign import Campaign
from tests.faults.hostile import home, scripted, scripted_model

SIZES = ((120, 36), (80, 24), (200, 60), (40, 12), (20, 5), (1, 1))
PATIENCE = 300.0
"""Seconds after which a session that does not come to rest is given up; never how long one takes."""
ACTS = 120
LEFT_OUT = {"app.quit", "screen.edit_outside"}
"""The one ends the session, the other wants a terminal."""
PIECES = ("sea", "苹果", " ", "a", "1", "0.5", "\n", "[", "👩‍👩‍👧", "@", "/", "-", "e\u0301")
ARGUMENTS = (
    "", "0", "1", "-1", "0.5", "nan", "-inf", "1e999", "9" * 30, "9" * 5000, "x" * 300, "off", "all",
    "sea", "苹果", "reply.md", "a b c",
)  # fmt: skip
_DOWN, _UP, _MOVE = events.MouseDown, events.MouseUp, events.MouseMove
MICE: tuple[tuple[type[events.MouseEvent], ...], ...] = (
    (_DOWN, _UP),
    (_DOWN, _UP, _DOWN, _UP),
    (_DOWN, _MOVE),
    (_MOVE,),
    (events.MouseScrollDown,),
    (events.MouseScrollUp,),
)


def case(numbers: random.Random, folder: Path) -> str:
    """A session, and what is on disk after it."""
    with home(folder):
        return asyncio.run(_session(numbers, folder))


async def _session(numbers: random.Random, folder: Path) -> str:
    file = folder / "library.sqlite3"
    knobs = _knobs(numbers)
    app = ChattermApp(
        Settings(model="Scripted-135M", language=numbers.choice(("en", "en", "zh"))),
        start_engine=knobs.start,
        library=partial(AsyncLibrary.open_library, file),
        resume=False,
        draw=lambda: 4711,
    )
    size = numbers.choice(SIZES[:4])
    async with asyncio.timeout(PATIENCE), app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        hand = Hand(app, pilot, numbers, knobs)
        for _ in range(ACTS):
            await hand.act()
            if app.session.host.is_closed:  # the palette offers to leave, and it was taken
                break
        else:
            await hand.come_home()
        shown = [turn for turn in app.session.turns if turn.role in ("user", "assistant") and turn.text]
        conversation = app.session.keeper.conversation
        await app.session.close()
        assert not app.session.keeper.lost, app.session.keeper.lost
    _check(file, conversation, shown)
    return f"{size[0]}×{size[1]}"


def _knobs(numbers: random.Random) -> Any:
    """An engine that writes at its own speed, and is sometimes in trouble."""
    knobs = scripted.Knobs()
    words = [word for word in scripted_model.WORDS if word]
    knobs.replies = [numbers.choices(words, k=numbers.randrange(40)) for _ in range(4)]
    knobs.delay = numbers.choice((0.0, 0.0, 0.002, 0.02))
    knobs.thinking = numbers.random() < 0.2
    knobs.context = numbers.choice((64, 256, 4096))
    if numbers.random() < 0.2:
        knobs.die_at = numbers.randrange(10)
    knobs.deaths_while_loading = numbers.choice((0,) * 8 + (1, 3))
    return knobs


class Hand:
    """Somebody, or something, at the keyboard."""

    def __init__(self, app: ChattermApp, pilot: Pilot[Any], numbers: random.Random, knobs: Any) -> None:
        self.app, self.pilot, self.numbers, self.knobs = app, pilot, numbers, knobs
        self._keys = [key for key in keys.KEYS if key.action not in LEFT_OUT]

    async def act(self) -> None:
        """One thing or a burst of things, and a rest or none."""
        acts = (
            self._press,
            self._burst,
            self._write,
            self._command,
            self._click,
            self._resize,
            self._trouble,
        )
        await self.numbers.choices(acts, (40, 20, 12, 8, 8, 3, 2))[0]()
        if self.numbers.random() < 0.3:
            await self.pilot.pause(self.numbers.choice((0.0, 0.01, 0.05)))

    def _key(self) -> str:
        known = [key for key in self._keys if key.scope == getattr(self.app.screen, "SCOPE", "chat")]
        of = known if known and self.numbers.random() < 0.5 else self._keys
        return self.numbers.choice(self.numbers.choice(of).keys)

    async def _press(self) -> None:
        await self.pilot.press(self._key())

    async def _burst(self) -> None:
        """Faster than anything can be done: nothing is waited for."""
        for _ in range(self.numbers.randrange(2, 12)):
            key = self._key()
            self.app.post_message(_typed(self.app, key))

    async def _write(self) -> None:
        self.app.post_message(events.Paste("".join(self.numbers.choices(PIECES, k=3))))
        if self.numbers.random() < 0.7:
            await self.pilot.press("enter")

    async def _command(self) -> None:
        name = self.numbers.choice([command.name for command in COMMANDS])
        if name in ("quit", "exit"):
            return
        self.app.chat.query_one(Composer).put(f"/{name} {self.numbers.choice(ARGUMENTS)}".rstrip())
        self.app.chat.query_one(Composer).focus()
        await self.pilot.press("enter")

    async def _click(self) -> None:
        """Or a move, or a turn of the wheel, as a terminal tells of them."""
        x, y = (self.numbers.randrange(max(1, size)) for size in self.app.size)
        for kind in self.numbers.choice(MICE):
            self.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
            x = max(0, x + self.numbers.choice((0, 0, 0, -3, 5)))
        await self.pilot.pause()

    async def _resize(self) -> None:
        await self.pilot.resize_terminal(*self.numbers.choice(SIZES))

    async def _trouble(self) -> None:
        """The engine dies soon, or does so no more; a reply waits, or goes on."""
        match self.numbers.randrange(4):
            case 0:
                self.knobs.die_at = self.numbers.randrange(20)
            case 1:
                self.knobs.die_at = None
            case 2:
                self.knobs.go.clear()
                self.knobs.hold_at = self.numbers.randrange(5)
            case _:
                self.knobs.hold_at = None
                self.knobs.go.set()

    async def come_home(self) -> None:
        """Everything can be left by escape, and then one can write."""
        self.knobs.hold_at = self.knobs.die_at = None
        self.knobs.go.set()
        await self.pilot.resize_terminal(120, 36)
        session = self.app.session
        for _ in range(40):
            await self.pilot.press("escape")
            await self.pilot.pause(0.02)
            if self.app.screen is self.app.chat and not session.live:
                break
        assert self.app.screen is self.app.chat, f"{self.app.screen} does not go away"
        composer = self.app.chat.query_one(Composer)
        for _ in range(10):
            if composer.has_focus:
                break
            await self.pilot.press("escape")
        composer.focus()
        composer.load_text("")
        await self.pilot.press(*"still")
        assert composer.text == "still", f"{self.app.focused} has the keys"
        composer.load_text("")
        while session.live is not None or session.keeper.state == "saving" or session.host.is_busy:
            await self.pilot.pause(0.02)


def _typed(app: App[Any], key: str) -> events.Key:
    return events.Key(key, key_to_character(key))


def _check(file: Path, conversation: int | None, shown: list[Turn]) -> None:
    """What was shown is on disk, word for word, and every tree is whole."""
    if not file.exists():
        assert not shown, "nothing was saved"
        return
    with Library(file) as library:
        for one in library.conversations(limit=1000):
            for node in library.tree(one.id):
                library.tokens(node.id)
        if conversation is None:
            assert not shown, "nothing was saved"
            return
        path = [message.content for message in library.open(conversation).path if message.role != "system"]
    kept = [text for text in path if text]  # a reply may have begun since
    assert [turn.text for turn in shown] == kept[: len(shown)], "not what was shown"


CAMPAIGN = Campaign(
    "keyboard",
    "Whatever is pressed, clicked and resized in whatever order, the interface lives on, every screen can be "
    "left, and what is shown is saved.",
    case,
    short=2,
    long=2000,
)
