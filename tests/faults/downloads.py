"""Downloads over a network and from servers that do everything wrong, one attempt after another.

Each case downloads a small checkpoint that is made up for it, up to three times with a fault and at last
without one. After each attempt: nothing half has a name, what was said is a sentence, and the token went to
the hub alone.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from chatterm.checkpoint.fetch import FetchProgress, NotFoundError, Timeouts, fetch
from chatterm.checkpoint.locate import locate
from chatterm.errors import UserError
from tests.faults import registry
from tests.faults.campaign import Campaign
from tests.faults.hostile_hub import REPOSITORY, Answer, Asked, Fault, Hub, serving
from tests.faults.sentences import check_sentence
from tests.faults.small_disk import can_mount, fill, small_disk

TOKEN = "hf_CanaryThatMustNotBeSeen"  # like the bird in a mine
IMPATIENT = Timeouts(connect=1.0, stall=0.3, tries=2, pause=0.01)
PATIENT = Timeouts(connect=60.0, stall=60.0, tries=3, pause=0.01)
DISK_BYTES = 4 << 20

_THEIRS = ("HF_", "XDG_", "OLLAMA")
EVERYWHERE = ("", "hub /api", "hub /organisation", "config.json", "model", "network")
LARGE_ONLY = ("model", "network", "network")
FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "the connection is cut at a random byte": (Answer.cut, LARGE_ONLY),
    "cut, of unknown length": (Answer.cut_without_length, LARGE_ONLY),
    "the connection is reset": (Answer.reset, EVERYWHERE),
    "one bit is wrong": (Answer.flip_a_bit, ("config.json", "tokenizer.json", "network")),
    "shorter or longer than announced": (Answer.other_length, EVERYWHERE),
    "an answer without end": (Answer.without_end, LARGE_ONLY),
    "broken chunks": (Answer.broken_chunks, EVERYWHERE),
    "compressed on the way": (Answer.compress, EVERYWHERE),
    "an error status, with and without Retry-After": (Answer.refuse, EVERYWHERE),
    "redirects in circles": (Answer.redirect_in_circles, EVERYWHERE),
    "redirects to another host": (Answer.redirect_to_a_stranger, EVERYWHERE),
    "redirects to what is no web address": (Answer.redirect_nowhere, EVERYWHERE),
    "the server stalls": (Answer.stall, LARGE_ONLY),
    "the server never answers": (Answer.say_nothing, ("hub /organisation", "network")),
    "another range than asked for": (Answer.other_range, LARGE_ONLY),
    "an answer that is not HTTP": (Answer.talk_nonsense, EVERYWHERE),
    "a hotel's login page": (Answer.log_in_first, EVERYWHERE),
}
"""What goes wrong → the answer that does it, and the requests that it may meet."""


@dataclass
class Machine:
    """A machine with an empty models folder, and what was heard and seen on it."""

    folder: Path
    hub: Hub
    said: list[str]

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def attempt(self, name: str, timeouts: Timeouts) -> Path | None:
        """Download; None if that failed with a sentence."""

        def hear(report: FetchProgress) -> None:
            self.said.append(report.what)

        try:
            return fetch(name, hear, timeouts=timeouts)
        except UserError as error:
            check_sentence(error.sentence, TOKEN)
            self.said.append(error.sentence)
            return None


def case(numbers: random.Random, folder: Path) -> str:
    """One download with its faults."""
    kind = numbers.random()
    if kind < 0.04:
        return registry.case(numbers, folder)
    hub = Hub(numbers)
    machine = Machine(folder, hub, [])
    with serving(hub), surroundings(machine, on_small_disk=0.10 <= kind < 0.15 and can_mount()):
        name = stock(hub)
        if kind < 0.10:
            label = "killed while downloading"
            faults: list[Callable[[], object]] = [partial(killed, machine, name)] * numbers.randint(1, 3)
        elif kind < 0.15:
            label = "the disk gets full"
            faults = [partial(disk_full, machine, name)]
        elif kind < 0.20:
            label = "the hub's file changes between two attempts"
            faults = [
                partial(faulty, machine, name, "the connection is cut at a random byte"),
                partial(stock, hub),
            ]
        elif kind < 0.25:
            label = "the listing lies about size or checksum"
            faults = [partial(lied_to, machine, name)]
        else:
            tried = numbers.choices(tuple(FAULTS), k=numbers.randint(1, 3))
            label = tried[0]
            faults = [partial(faulty, machine, name, what) for what in tried]
        for fault in faults:
            fault()
            hub.heal()
            check_nothing_half(machine, name)
        kept = kept_bytes(machine)
        before = len(hub.asked)
        path = machine.attempt(name, PATIENT)
        assert path is not None, f"without any fault: {machine.said[-1]}"
        check_whole(machine, path)
        open_to_others = [file for file in machine.models.rglob("*") if file.stat().st_mode & 0o077]
        assert not open_to_others, f"others may read {open_to_others}"
        if kept:
            asked = [one.range for one in hub.asked[before:] if one.server == "network"]
            assert asked and asked[0] == f"bytes={kept}-", f"{kept} bytes were there, asked for {asked}"
        check_token(hub.asked, machine)
    return label


def faulty(machine: Machine, name: str, what: str) -> None:
    hub = machine.hub
    hub.fault, aims = FAULTS[what]
    hub.aim = hub.numbers.choice(aims)
    hub.times = hub.numbers.choice([1, 1, 2, 3, 1000])
    path = machine.attempt(name, IMPATIENT)
    if path is not None:
        check_whole(machine, path)


def lied_to(machine: Machine, name: str) -> None:
    hub = machine.hub
    weights = next(path for path in hub.files if path.startswith(("model", "tiny")))
    size = len(hub.files[weights])
    digest = hashlib.sha256(hub.numbers.randbytes(8)).hexdigest()
    lies: list[dict[str, object]] = [
        {"size": size + 1}, {"size": max(1, size // 2)}, {"size": 0}, {"size": -1}, {"size": None},
        {"size": 10**18}, {"lfs": {"sha256": digest}}, {"lfs": {"sha256": "x"}}, {"lfs": {"sha256": ""}},
        {"lfs": None, "blobId": digest[:40]},
    ]  # fmt: skip
    hub.announced = {weights: hub.numbers.choice(lies)}
    assert machine.attempt(name, IMPATIENT) is None, f"it was not noticed: {hub.announced}"


def killed(machine: Machine, name: str) -> None:
    """A downloader of its own, killed after the server has sent some bytes."""
    program = (
        "from chatterm.checkpoint import folders; folders.clone_models_folder = lambda: None\n"
        f"from chatterm.checkpoint.fetch import fetch; fetch({name!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    hub = machine.hub
    hub.victim = lambda: process.pid
    hub.fault, hub.aim, hub.times = Answer.kill_the_downloader, "network", 1
    process.wait(120)


def disk_full(machine: Machine, name: str) -> None:
    """On a small disk, or in a process that may write no larger files."""
    if not can_mount():
        limit = machine.hub.numbers.randrange(1000, 100_000)
        program = (
            f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "from chatterm.checkpoint import folders; folders.clone_models_folder = lambda: None\n"
            "from chatterm.checkpoint.fetch import fetch\n"
            "from chatterm.errors import UserError\n"
            f"try: fetch({name!r})\n"
            "except UserError as error: print(error.sentence)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        check_sentence(done.stdout.strip(), TOKEN)
        return
    hub = machine.hub
    leave = hub.numbers.randrange(0, 150_000)
    hub.fill_disk = lambda: None if not machine.models.is_dir() else (fill(machine.models, leave), None)[1]
    hub.fault, hub.aim, hub.times = Answer.fill_the_disk, "network", 1
    path = machine.attempt(name, PATIENT)
    if path is not None:
        check_whole(machine, path)
    else:
        assert "space" in machine.said[-1] or "Cannot write" in machine.said[-1], machine.said[-1]
    (machine.models / ".filler").unlink(missing_ok=True)


# --- what must hold ---------------------------------------------------------------------------------------


def check_nothing_half(machine: Machine, name: str) -> None:
    """Whatever has a name outside of the hidden folder is whole, and what is not whole is not found."""
    try:
        check_whole(machine, locate(name))
    except NotFoundError:
        hidden = {".unfinished", ".receipts"}
        named = [path for path in files(machine.models) if not hidden & set(path.parts)]
        whole = [content for version in machine.hub.versions for content in version.values()]
        assert all(path.read_bytes() in whole for path in named), f"half a file in {named}"


def check_whole(machine: Machine, path: Path) -> None:
    """Every file of the checkpoint is what the hub has, or had, under that name at one and the same time."""
    found = {file.name: file.read_bytes() for file in ([path] if path.is_file() else files(path))}
    assert found in machine.hub.versions, f"not what the hub has: {path}"


def check_token(asked: list[Asked], machine: Machine) -> None:
    assert any(one.token == f"Bearer {TOKEN}" for one in asked if one.server == "hub"), "the hub got no token"
    strangers = [one for one in asked if one.server != "hub" and one.token is not None]
    assert not strangers, f"the token went to {strangers[0].server}"
    assert not any(TOKEN in text for text in machine.said), "the token was said"
    seen = [path for path in files(machine.folder) if TOKEN.encode() in path.read_bytes()]
    assert not seen, f"the token is in {seen}"


def kept_bytes(machine: Machine) -> int:
    """What the last attempt left of the weights as they are now, all of it right; 0 if nothing."""
    weights = next(path for path in machine.hub.files if path.startswith(("model", "tiny")))
    content = machine.hub.files[weights]
    identity = hashlib.sha256(content).hexdigest()[:12]
    for part in machine.models.rglob(f"{weights}.{identity}.part"):
        kept = part.read_bytes()
        return len(kept) if content.startswith(kept) and len(kept) < len(content) else 0
    return 0


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


# --- the machine and the repository -----------------------------------------------------------------------


def stock(hub: Hub) -> str:
    """Put a new checkpoint into the repository; what to ask for."""
    numbers = hub.numbers
    weights = numbers.randbytes(numbers.randrange(20_000, 300_000))
    hub.commit = f"{numbers.getrandbits(160):040x}"
    is_gguf = "tiny-Q4_K_M.gguf" in hub.files or (not hub.files and numbers.random() < 0.3)
    if is_gguf:
        hub.restock({"tiny-Q4_K_M.gguf": b"GGUF" + weights})
        return f"{REPOSITORY}:Q4_K_M"
    hub.restock(
        {
            "config.json": b'{"model_type": "llama"}',
            "tokenizer.json": b'{"model": {}, "x": "%d"}' % numbers.getrandbits(64),
            "model.safetensors": weights,
        }
    )
    return REPOSITORY


@contextmanager
def surroundings(machine: Machine, *, on_small_disk: bool) -> Iterator[None]:
    """No clone, no cache, no other program's models; a token; perhaps a disk that is soon full."""
    folder = machine.folder
    machine.models.mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = {name: value for name, value in kept.items() if not name.startswith(_THEIRS)}
    environment |= {
        "HF_ENDPOINT": machine.hub.addresses["hub"],
        "HF_TOKEN": TOKEN,
        "HOME": str(folder / "home"),
        "CHATTERM_MODELS": str(machine.models),
        "CHATTERM_CACHE": str(folder / "cache"),
    }
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environment, clear=True))
        stack.enter_context(patch("chatterm.checkpoint.folders.clone_models_folder", lambda: None))
        stack.enter_context(patch("chatterm.checkpoint.sources.OLLAMA_SERVICE", folder / "service"))
        if on_small_disk:  # the room that is asked for beforehand would be more than the whole disk
            stack.enter_context(patch("chatterm.checkpoint.fetch.storage.SPARE_BYTES", 0))
            stack.enter_context(small_disk(machine.models, DISK_BYTES))
        yield


CAMPAIGN = Campaign(
    name="downloads",
    promise="A download that goes wrong in any way leaves no half file that looks whole, says why in one "
    "sentence, goes on from what it had, and shows the token to nobody but the hub.",
    case=case,
    short=15,
    long=1000,
)
