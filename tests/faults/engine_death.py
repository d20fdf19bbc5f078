"""The engine dies, or runs out of memory, at a random moment of its work.

The interface runs under a pilot with the real engine process and the real default model. Cases of a run share
one chat, a new one every `DEATHS` cases. In about every tenth case no engine survives what it is asked: it
dies at each loading, at each first token, or at each prompt, and has to be given up after the second time.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil

from chatterm.chat.branches import Branch
from chatterm.chat.turns import Turn
from chatterm.library import Library
from tests.faults.campaign import Campaign
from tests.faults.house import DyingEngine, House

DEATHS = 20
"""Deaths that one chat sees."""

HOPELESS = 0.1
"""The part of the cases in which the engine dies every time."""

TOPICS = ("the sea", "a lighthouse", "bread", "the moon", "水", "old maps", "winter", "a small dog")
VIEWS = ("lens", "attention", "contributions", "neurons", "embeddings")
LONG = "The keeper of the lighthouse wrote in his book what the sea had brought that day. "

Fate = Callable[[int, random.Random], None]


def _signal(number: signal.Signals) -> Fate:
    return lambda pid, _numbers: os.kill(pid, number)


def _limit(pid: int, numbers: random.Random) -> None:
    """No more memory than it has, and a little."""
    taken = psutil.Process(pid).memory_info().vms
    unlimited = resource.prlimit(pid, resource.RLIMIT_AS)[1]
    resource.prlimit(pid, resource.RLIMIT_AS, (taken + numbers.randrange(1 << 23), unlimited))


def _lift(pid: int) -> None:
    with suppress(OSError):
        unlimited = resource.prlimit(pid, resource.RLIMIT_AS)[1]
        resource.prlimit(pid, resource.RLIMIT_AS, (unlimited, unlimited))


DEADLY: dict[str, Fate] = {
    "SIGKILL": _signal(signal.SIGKILL),
    "SIGABRT": _signal(signal.SIGABRT),
    "SIGSEGV": _signal(signal.SIGSEGV),
    "exit status 137": _signal(signal.SIGUSR1),
}
SURVIVABLE: dict[str, Fate] = {"MemoryError": _signal(signal.SIGUSR2), "no more memory": _limit}


class Death:
    """One case in a running chat: what is being done, what happens to the engine, what must hold after it."""

    def __init__(self, house: House, numbers: random.Random) -> None:
        self.house = house
        self.numbers = numbers
        self.session = house.app.session
        self.victim: DyingEngine | None = None
        self.is_missed = False  # the victim was at work, so that its death has to be told
        self.partial: tuple[Turn, int] | None = None

    def message(self) -> str:
        """Something to say that was never said before."""
        return f"Tell me of {self.numbers.choice(TOPICS)} ({self.numbers.getrandbits(32):08x})"

    async def some_tokens(self, most: int = 24) -> None:
        """Wait until the reply has a few."""
        count = self.numbers.randrange(1, most)
        await self.house.until(lambda: (live := self.session.live) is not None and len(live.tokens) >= count)

    async def some_time(self, most: float) -> None:
        """Let it work."""
        await asyncio.sleep(self.numbers.uniform(0, most))

    async def strike(self, fate: Fate) -> None:
        """It happens now, to the engine that was started last and lives."""
        living = [engine for engine in self.house.engines if engine.alive]
        self.victim = living[-1]
        engines, host = self.session.engines, self.session.host
        in_use = (engines._loading,) if host.is_busy else (engines.engine,)
        self.is_missed = self.victim in in_use
        live = self.session.live
        self.partial = (live, len(live.tokens)) if live is not None else None
        with suppress(ProcessLookupError):
            fate(self.victim.pid, self.numbers)


# --- moments: each brings the engine to work and returns in the middle of it --------------------------------


async def loading(death: Death) -> None:
    """A model is looked for and loaded; the scout may be the one that dies."""
    before = len(death.house.engines)
    death.house.begin(death.session.host.open(death.numbers.choice((death.house.model, "default"))))
    await death.house.until(lambda: len(death.house.engines) > before or not death.session.host.is_busy)
    await death.some_time(3.0)


async def reading(death: Death) -> None:
    """A long prompt is read."""
    await death.house.say(f"{LONG * death.numbers.randrange(20, 60)}{death.message()}")
    await death.house.until(lambda: death.session.live is not None)
    await death.some_time(1.0)


async def streaming(death: Death) -> None:
    """A reply is written."""
    await death.house.say(death.message())
    await death.some_tokens()


async def stopping(death: Death) -> None:
    """A reply has just been stopped."""
    await streaming(death)
    death.session.stop()


async def forking(death: Death) -> None:
    """A reply goes on from another of its tokens."""
    reply = await _a_reply(death)
    at = death.numbers.randrange(len(reply.tokens))
    others = [c.id for c in reply.tokens[at].distribution.candidates if c.id != reply.tokens[at].id]
    death.session.fork(Branch(reply, at), (death.numbers.choice(others),))
    await death.some_time(0.4)


async def looking_inside(death: Death) -> None:
    """A view of the glass box asks."""
    await _a_reply(death)
    await death.house.press("f2", "left")
    death.house.app.chat.action_open_view(death.numbers.choice(VIEWS))
    await death.some_time(0.4)


async def tokenizing(death: Death) -> None:
    """A text is cut into tokens."""
    death.house.begin(death.session.count(LONG * death.numbers.randrange(100, 2000)))
    await death.some_time(0.1)


async def idle(death: Death) -> None:
    """Nothing is asked."""
    await death.some_time(0.2)


async def _a_reply(death: Death) -> Turn:
    await streaming(death)
    death.session.stop()
    await death.house.until(lambda: death.session.live is None)
    reply = death.session.last_reply
    assert reply is not None
    return reply


MOMENTS: dict[str, tuple[int, Callable[[Death], Awaitable[None]]]] = {
    "loading": (2, loading),
    "reading the prompt": (3, reading),
    "writing": (5, streaming),
    "stopping": (1, stopping),
    "forking": (2, forking),
    "looking inside": (3, looking_inside),
    "tokenizing": (2, tokenizing),
    "idle": (2, idle),
}
"""What the engine was doing → how often, and how."""


# --- one case -----------------------------------------------------------------------------------------------

_house: House | None = None


def end() -> None:
    """Leave the chat that goes on from case to case."""
    global _house
    if _house is not None:
        _house.close()
        _house = None


def case(numbers: random.Random, folder: Path) -> str:
    """One death, or one engine that nothing survives."""
    global _house
    if numbers.random() < HOPELESS:
        what = numbers.choice(("load", "token", "prompt"))
        hopeless = House(folder, {"CHATTERM_TEST_DIES": what})
        try:
            hopeless.run(_given_up(hopeless, what))
        finally:
            hopeless.close()
        return f"every {what}: given up after the second time"
    if _house is None or _house.cases >= DEATHS:
        end()
        _house = House(folder.parent / f"house-{folder.name}")
    _house.cases += 1
    what = numbers.choices(list(MOMENTS), [often for often, _ in MOMENTS.values()])[0]
    fates = DEADLY | SURVIVABLE
    fate = numbers.choice(list(fates))
    try:
        _house.run(_die(Death(_house, numbers), what, fate))
    except BaseException:
        end()
        raise
    shutil.rmtree(folder)
    return f"{what}: {fate}"


async def _die(death: Death, what: str, fate: str) -> None:
    house, session = death.house, death.session
    await house.until_ready()
    if session.context_used > 1500 or death.numbers.random() < 0.2:
        session.new()
        await house.until(lambda: not session.turns)
    before = house.notices()
    await MOMENTS[what][1](death)
    asked = [turn for turn in session.turns if turn.role == "user"]
    await death.strike((DEADLY | SURVIVABLE)[fate])
    victim = death.victim
    assert victim is not None
    if fate in DEADLY:
        await house.until(lambda: not victim.alive)
    else:
        await _come_what_may(death)
    if fate == "no more memory":
        await house.until(lambda: session.live is None or len(session.live.tokens) > 2)
        _lift(victim.pid)
    await house.until_ready()
    await house.stop()
    told = [turn.text for turn in house.notices() if turn not in before]
    ours = [sentence for sentence in told if "engine" in sentence.lower() or "memory" in sentence]
    if not victim.alive:
        assert death.is_missed <= len(ours) <= 1, f"{fate} while {what}: told {told}"
        assert victim._process.returncode is not None, "it was not waited for"
    assert all(turn in session.turns for turn in asked), "a message of the user is gone"
    _check_kept(death, what)
    await _check_next(death)
    assert len([engine for engine in house.engines if engine.alive]) <= 2, "an engine too many is running"


async def _come_what_may(death: Death) -> None:
    """After a fault that an engine may survive: until it has died, or has been heard of again."""
    victim = death.victim
    assert victim is not None
    before = len(death.house.notices())
    asking = asyncio.ensure_future(victim.tokenize("Are you there?"))
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    await death.house.until(
        lambda: (
            not victim.alive
            or len(death.house.notices()) > before
            or (asking.done() and (death.session.live is None or len(death.session.live.tokens) > 2))
        )
    )
    asking.cancel()


def _check_kept(death: Death, what: str) -> None:
    if death.partial is None:
        return
    turn, count = death.partial
    if not count or (what == "forking" and turn not in death.session.turns):
        return
    assert turn in death.session.turns and not turn.live, "the partial reply is gone"
    assert len(turn.tokens) >= count, "tokens of the partial reply are gone"
    assert turn.number is not None, "the partial reply was not saved"
    with Library(death.house.library) as library:
        saved = library.message(turn.number)
    assert saved.content == turn.text and saved.tokens == len(turn.tokens), "it was not saved as it is"
    assert saved.status in ("failed", "stopped"), f"it was saved as {saved.status}"


async def _check_next(death: Death) -> None:
    """The next message is answered."""
    said = death.message()
    await death.house.say(said)
    await death.house.until(lambda: (live := death.session.live) is not None and len(live.tokens) >= 2)
    assert [turn.text for turn in death.session.turns if turn.role == "user"][-1] == said
    await death.house.stop()
    await death.house.until(lambda: death.session.keeper.state == "saved")


async def _given_up(house: House, what: str) -> None:
    session = house.app.session
    if what != "load":
        await house.until_ready()
        await house.say("Tell me of the sea.")
    await house.until(lambda: bool(session.host.trouble) and not session.host.is_busy)
    told = [turn.text for turn in house.notices()]
    assert len(house.engines) == 2, f"{len(house.engines)} engines were started"
    assert len(told) == 2, f"told {told}"
    assert session.host.trouble == told[-1] and session.engines.engine is None
    before = len(house.engines)
    await house.say("And now?")
    await house.until(lambda: len(house.notices()) > len(told))
    assert len(house.engines) == before, "it was started again"
    assert "no model to answer it" in house.notices()[-1].text


CAMPAIGN = Campaign(
    "engine_death",
    "However the engine dies, the interface says so in one sentence and starts it again; the conversation "
    "and the partial reply stay and are saved, and the next message is answered. An engine that dies every "
    "time is given up after the second.",
    case,
    short=2,
    long=200,
    end=end,
)
