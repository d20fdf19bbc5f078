"""The program is killed with SIGKILL at a random moment of using it.

A case is one life of the real program in a pseudo-terminal with the real default model, and its death. Cases
of a run share a library, a new one every `LIVES` cases, so that each life finds what the one before it left,
and everything that was ever saved is looked for again after every death.

What was on the screen is read frame by frame. A frame says what it shows as saved: where the status line
reads *saved*, the messages in sight and the tokens that it counts; where a reply is shown that grows, all
that the last frame drawn a second before the death counted.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chatterm.chat.session.writing import SAVE_SECONDS
from chatterm.library import Library, Message
from tests.faults.campaign import Campaign
from tests.faults.watched import PATIENCE, Frame, Watched
from tests.faults.whole import read_whole, used

LIVES = 12
"""Deaths that one library sees."""

LOST_SECONDS = 1.0
"""What of a reply in progress may be lost."""

TOPICS = ("the sea", "a lighthouse", "bread", "the moon", "水", "old maps", "winter", "a small dog")
SETTINGS = """\
threads = 1
next_token_panel = false
[sampling.logit_bias]
"0" = -inf
"2" = -inf
"""
"""No reply ends by itself."""


class Stalls(threading.Thread):
    """How long the machine let this process wait, and its disk: no verdict may depend on that."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._file = folder / "stalls"
        self._over = threading.Event()
        self.worst = 0.0

    def run(self) -> None:
        """Measure until `end`."""
        with self._file.open("wb", buffering=0) as file:
            began = time.monotonic()
            while not self._over.wait(0.05):
                file.write(b"x")
                os.fsync(file.fileno())
                now = time.monotonic()
                self.worst = max(self.worst, now - began - 0.05)
                began = now

    def end(self) -> float:
        """The longest wait, in seconds."""
        self._over.set()
        self.join()
        return self.worst


class Life:
    """One run of the program and what is done in it."""

    def __init__(self, home: Path, numbers: random.Random, *, resumed: bool) -> None:
        """Start the program on the library in `home`."""
        self.numbers = numbers
        self.terminal = Watched(["--continue"] if resumed else [], home)

    @property
    def frame(self) -> Frame:
        """The last one."""
        return self.terminal.frames[-1]

    def wait_for_composer(self) -> None:
        """Wait until one can write."""
        self.terminal.wait("Ask something", PATIENCE)

    def message(self) -> str:
        """Something to say that was never said before."""
        return f"Tell me of {self.numbers.choice(TOPICS)} ({self.numbers.getrandbits(32):08x})"

    def say(self) -> None:
        """Send a message."""
        self.terminal.say(self.message())

    def until_growing(self, tokens: int = 4) -> None:
        """Wait until a reply has some tokens."""
        self.terminal.until(lambda _: self._tokens() >= tokens)

    def _tokens(self) -> int:
        episodes = growing(self.terminal.frames)
        if not episodes or self.frame.state != "saving":
            return 0
        first, last = episodes[-1][0].used, episodes[-1][-1].used
        return (last or 0) - (first or 0)

    def until_saved(self) -> None:
        """Wait until all is said to be saved."""
        self.terminal.until(lambda frame: frame.state == "saved")

    def linger(self, most: float) -> None:
        """Watch for a while; death comes at its end."""
        self.terminal.read(self.numbers.uniform(0, most))


def growing(frames: list[Frame]) -> list[list[Frame]]:
    """The frames in which a reply grows, reply by reply."""
    found: list[list[Frame]] = []
    inside = False
    for frame in frames:
        if frame.state != "saving" or not frame.timed or not frame.used:
            inside = False
            continue
        if not inside or frame.used < (found[-1][-1].used or 0):
            found.append([])
        inside = True
        found[-1].append(frame)
    return [episode for episode in found if (episode[-1].used or 0) > (episode[0].used or 0)]


# --- moments ----------------------------------------------------------------------------------------------


def starting(life: Life) -> None:
    """Before or while the screen is painted."""
    life.linger(3.0)


def typing(life: Life) -> None:
    """In the middle of a message."""
    life.wait_for_composer()
    text = life.message()
    life.terminal.type(text[: life.numbers.randrange(1, len(text))])
    life.linger(0.3)


def sending(life: Life) -> None:
    """Just after Enter, the model loaded or not; sometimes two messages."""
    life.wait_for_composer()
    if life.numbers.random() < 0.3:
        life.terminal.until(lambda frame: frame.used is not None)
    for _ in range(life.numbers.choice((1, 1, 2))):
        life.say()
    life.linger(0.4)


def streaming(life: Life) -> None:
    """While a reply grows."""
    life.wait_for_composer()
    life.say()
    life.until_growing()
    life.linger(3.0)


def stopping(life: Life) -> None:
    """Just after a reply was stopped, saved or not yet."""
    streaming(life)
    life.terminal.press("escape")
    if life.numbers.random() < 0.5:
        life.until_saved()
    life.linger(0.2)


def asking_again(life: Life) -> None:
    """While a second reply to the same message grows, or after going back to the first."""
    life.wait_for_composer()
    life.say()
    life.until_growing()
    life.terminal.press("escape")
    life.until_saved()
    life.terminal.press("ctrl+r")
    if life.numbers.random() < 0.5:
        life.until_growing()
        life.linger(1.5)
        return
    life.linger(0.5)
    life.terminal.press("escape", "alt+left")
    life.linger(0.4)


def forking(life: Life) -> None:
    """While a reply goes on from another token."""
    life.wait_for_composer()
    life.say()
    life.until_growing(tokens=16)  # so many that walking back ends within the reply
    written = len(growing(life.terminal.frames))
    life.terminal.press("f2")
    life.terminal.wait(lambda screen: "choose" in screen.splitlines()[-1], PATIENCE)
    life.terminal.press(*["left"] * life.numbers.randrange(1, 4), "enter")
    life.terminal.wait(lambda screen: "candidate" in screen.splitlines()[-1], PATIENCE)
    life.terminal.press(*["down"] * life.numbers.randrange(1, 3), "enter")
    if life.numbers.random() < 0.7:
        # the other token may be one that ends the reply at once
        life.terminal.until(
            lambda frame: len(growing(life.terminal.frames)) > written or frame.state == "saved"
        )
    life.linger(1.5)


def beginning_anew(life: Life) -> None:
    """Just after another conversation was begun in the middle of a reply."""
    life.wait_for_composer()
    life.say()
    life.until_growing()
    life.terminal.press("ctrl+n")
    if life.numbers.random() < 0.5:
        life.say()
    life.linger(0.5)


def closing(life: Life) -> None:
    """On the way out, in the middle of a reply or not."""
    life.wait_for_composer()
    if life.numbers.random() < 0.7:
        life.say()
        if life.numbers.random() < 0.7:
            life.until_growing()
    life.terminal.type(life.terminal.KEYS["ctrl+q"])
    life.linger(0.8)


MOMENTS: dict[str, tuple[int, Callable[[Life], None]]] = {
    "starting, resuming": (3, starting),
    "typing": (2, typing),
    "sending": (4, sending),
    "streaming": (4, streaming),
    "stopping": (3, stopping),
    "asking again, going back": (2, asking_again),
    "forking": (3, forking),
    "beginning another conversation": (1, beginning_anew),
    "closing": (3, closing),
}
"""What was being done → how often, and how."""


# --- one case -----------------------------------------------------------------------------------------------


def case(numbers: random.Random, folder: Path) -> str:
    """One life."""
    home = _home(folder)
    library = home / "data" / "library.sqlite3"
    before = read_whole(library, {}) if library.exists() else {}
    what = numbers.choices(list(MOMENTS), [often for often, _ in MOMENTS.values()])[0]
    resumed = bool(before) and (numbers.random() < 0.4 or what == "starting, resuming")
    stalls = Stalls(folder)
    life = Life(home, numbers, resumed=resumed)
    stalls.start()
    try:
        if resumed and numbers.random() < 0.5:
            _check_resumed(life, library, before)
        MOMENTS[what][1](life)
        life.terminal.kill()
    finally:
        stalled = stalls.end()
        life.terminal.bury()
    _check(life, library, before, stalled)
    shutil.rmtree(folder)
    return what


def _home(folder: Path) -> Path:
    number = int(folder.name.rpartition("-")[2])
    home = folder.parent / f"home-{number // LIVES}"
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(SETTINGS)
    return home


def _check_resumed(life: Life, library: Path, before: dict[int, Message]) -> None:
    """The conversation that was talked in last is on the screen, with its last reply's tokens."""
    life.wait_for_composer()
    conversation = _last_conversation(library)
    path = conversation[::-1]
    reply = next((message for message in path if message.role == "assistant"), None)
    if reply is not None and reply.tokens:
        count = used(library, reply.id)
        life.terminal.until(lambda frame: frame.used == count)
        if reply is path[0]:
            end = _letters(reply.content)[-24:]
            life.terminal.wait(lambda screen: end in _letters(_conversation(screen)), PATIENCE)
    else:
        life.terminal.until(lambda frame: not path or path[0].content in frame.said)


def _check(life: Life, library: Path, before: dict[int, Message], stalled: float) -> None:
    frames = life.terminal.frames
    if not library.exists():
        assert not before and not any(frame.state == "saved" for frame in frames), "there is no library"
        return
    now = read_whole(library, before)
    new = [message for number, message in now.items() if number not in before]
    said = {message.content for message in now.values() if message.role == "user"}
    touched = {message.conversation for message in new} | {
        m.conversation for m in _last_conversation(library)
    }
    replies = [m for m in now.values() if m.role == "assistant" and m.conversation in touched]
    counts = {used(library, message.id) for message in replies if message.tokens}
    for frame in frames:
        if frame.state == "saved":
            assert frame.said <= said, f"shown as saved and missing: {frame.said - said}"
            assert not frame.used or frame.used in counts, f"{frame.used} tokens shown as saved, not {counts}"
    _check_growing(life, library, [m for m in new if m.role == "assistant"], said, stalled)


def _check_growing(life: Life, library: Path, new: list[Message], said: set[str], stalled: float) -> None:
    episodes = growing(life.terminal.frames)
    assert life.terminal.killed_at is not None
    stalled = max(stalled, _longest_gap(life.terminal.frames, life.terminal.killed_at))
    due = life.terminal.killed_at - LOST_SECONDS - 2 * stalled
    shown = [[frame for frame in episode if frame.at <= due] for episode in episodes]
    begun = [episode for episode in shown if len({frame.used for frame in episode}) > 1]
    assert len(new) >= len(begun), f"{len(begun)} replies were shown a second before, {len(new)} are saved"
    for episode in episodes if stalled < SAVE_SECONDS else []:
        for frame in episode:  # the next message may stand below the reply, still being saved
            assert frame.asked <= said, f"a reply was shown to what is not saved: {frame.asked - said}"
    if begun and begun[-1] is shown[-1]:
        kept = used(library, max(message.id for message in new))
        count = begun[-1][-1].used or 0
        assert kept >= count, f"{count} tokens were shown a second before, {kept} are saved"
        late = next((frame.at for frame in episodes[-1] if (frame.used or 0) > kept), None)
        if late is not None:
            lost = life.terminal.killed_at - late
            print(f"kill: {lost:.2f} s lost, stalled for {stalled:.2f} s", file=sys.stderr, flush=True)


def _longest_gap(frames: list[Frame], until: float) -> float:
    """How long the program itself stood still near the end: it draws at least with every token."""
    last = [frame.at for frame in frames if frame.at > until - 4 * LOST_SECONDS]
    return max((later - earlier for earlier, later in itertools.pairwise(last)), default=0.0)


def _last_conversation(library: Path) -> list[Message]:
    with Library(library) as opened:
        last = opened.last_conversation()
        return list(opened.open(last.id).path) if last is not None else []


def _conversation(screen: str) -> str:
    """What stands to the right of the list of conversations."""
    return "\n".join(row.rpartition("│")[2] for row in screen.splitlines()[:-5])


def _letters(text: str) -> str:
    """Letters and digits alone: lines are wrapped and Markdown is drawn."""
    return "".join(filter(str.isalnum, text))


CAMPAIGN = Campaign(
    "kill",
    "Killed at any moment, the program has lost no message that was shown as saved and at most one second of "
    "a reply in progress; the library and its trees are whole, nothing is left running, and the next start "
    "goes on.",
    case,
    short=3,
    long=500,
)
