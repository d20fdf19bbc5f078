"""The hub's address and token come from the environment, as its own library has it; looking is only that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from chatterm import hub_access
from tests.fakehub import serving

SECRET = "hf_CanaryThatMustNotBeSeen"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty `HF_HOME`, and nothing else set."""
    for name in os.environ:
        if name.startswith(("HF_", "HUGGING")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "hf").mkdir()
    return tmp_path / "hf"


def store(home: Path) -> None:
    """A token as a login in the browser leaves it, to be renewed soon, and another that renews it."""
    (home / "token").write_text(f"{SECRET}\n")
    (home / "stored_tokens").write_text(
        f"[me]\nhf_token = {SECRET}\nrefresh_token = {SECRET}Refresh\nexpires_at = {int(time.time()) + 60}\n"
    )


# --- where it is ----------------------------------------------------------------------------------------


def test_the_variables_come_first_and_then_what_was_stored(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub_access.token() is None
    store(home)
    assert hub_access.token() == hub_access.Token(SECRET)
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "older")
    assert hub_access.token() == hub_access.Token("older", "HUGGING_FACE_HUB_TOKEN")
    monkeypatch.setenv("HF_TOKEN", " newer\n")
    assert hub_access.token() == hub_access.Token("newer", "HF_TOKEN")
    assert "newer" not in repr(hub_access.token())
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert hub_access.token() is None


PLACES: tuple[dict[str, str], ...] = (
    {"HOME": "/h"},
    {"HOME": "/h", "XDG_CACHE_HOME": "/x"},
    {"HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "~/f"},
    {"HOME": "/h", "HF_HOME": "$HOME/f"},
    {"HOME": "/h", "HF_HOME": "/f", "HF_TOKEN_PATH": "~/t"},
)
_THEIR_PLACES = """
import importlib, json, os, sys
from huggingface_hub import constants
for place in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(place)
    print(importlib.reload(constants).HF_TOKEN_PATH)
"""


def test_the_place_is_that_of_the_hubs_own_library(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _THEIR_PLACES, json.dumps(PLACES)], capture_output=True, text=True, check=True
    )
    ours = []
    for place in PLACES:
        for name in ("HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        ours.append(str(hub_access._stored_at()))
    assert ours == ran.stdout.split()


def test_an_empty_variable_does_not_mean_the_current_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "huggingface").mkdir()
    (home / "huggingface" / "token").write_text(SECRET)
    monkeypatch.setenv("HOME", str(home / "nobody"))
    monkeypatch.chdir(home)
    for name in ("HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    assert hub_access.token() is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["pipe", "folder", "device", "endless", "unreadable name"])
def test_what_is_no_stored_token_is_none(home: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "pipe":
        os.mkfifo(home / "token")
    elif what == "folder":
        (home / "token").mkdir()
    elif what == "device":
        (home / "token").symlink_to("/dev/zero")
    elif what == "endless":
        (home / "token").write_bytes(b"x" * (hub_access.MAX_BYTES + 1))
    else:
        monkeypatch.setenv("HF_HOME", "~nobody-of-this-name/" + "x" * 5000)
    assert hub_access.token() is None


# --- whom it goes to ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "stored", "given"),
    [
        ("https://huggingface.co", None, None),
        ("HTTPS://HuggingFace.co:443", None, None),
        ("https://huggingface.co:8443", "elsewhere", None),
        ("https://huggingface.co.example", "elsewhere", None),
        ("https://me@huggingface.co", "elsewhere", None),
        ("https://huggingface.co@mirror.example", "elsewhere", None),
        ("https://hf.co", "elsewhere", None),
        ("https://mirror.example/hf", "elsewhere", None),
        ("http://127.0.0.1:8080", "elsewhere", None),
        ("http://[::1]:8080", "elsewhere", None),
        ("http://localhost", "elsewhere", None),
        ("http://huggingface.co", "unencrypted", "unencrypted"),
        ("http://mirror.example", "unencrypted", "unencrypted"),
        ("http://localhost.mirror.example", "unencrypted", "unencrypted"),
        ("http://127.0.0.1.mirror.example", "unencrypted", "unencrypted"),
        ("http://10.0.0.1", "unencrypted", "unencrypted"),
        ("http://[::1", "unencrypted", "unencrypted"),
        ("nonsense", "unencrypted", "unencrypted"),
    ],
)
def test_a_stored_token_is_for_the_usual_hub_and_none_is_sent_in_the_clear(
    address: str, stored: str | None, given: str | None
) -> None:
    assert hub_access.withheld(hub_access.Token(SECRET), address) == stored
    assert hub_access.withheld(hub_access.Token(SECRET, "HF_TOKEN"), address) == given


def test_a_proxy_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked in the clear goes to the proxy in the clear, whatever the address says."""
    token = hub_access.Token(SECRET, "HF_TOKEN")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert hub_access.withheld(token, "http://localhost:8080") == "unencrypted"
    assert hub_access.withheld(token, "https://mirror.example") is None
    monkeypatch.setenv("no_proxy", "localhost")
    assert hub_access.withheld(token, "http://localhost:8080") is None


# --- looking changes nothing ----------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a hub of this machine, `HF_ENDPOINT`, was asked for; it renews tokens, and has nothing else."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            paths.append(self.path)
            body = b'{"access_token": "renewed", "expires_in": 3600}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            paths.append(self.path.partition("?")[0])
            self.send_error(404)

    with serving() as serve:
        monkeypatch.setenv("HF_ENDPOINT", serve(Handler))
        yield paths


_LOOK = """
from chatterm.cli.network import network
print(network())
"""
_ASK = """
from chatterm.checkpoint.catalog import HubSource
from chatterm.checkpoint.fetch.hub import HubError, connect, plainly
from chatterm.checkpoint.fetch.web import Timeouts
hub = connect("It", Timeouts(), lambda: None)
try:
    with plainly(hub, None):
        hub.listing(HubSource("a/b"))
except HubError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("code", "expected"), [(_LOOK, []), (_ASK, ["/api/models/a/b/revision/main"])], ids=["doctor", "hub"]
)
@pytest.mark.parametrize("resource", ["", "models/a/b"], ids=["", "in a CI"])
def test_nobody_renews_or_trades_a_token(
    home: Path,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: list[str],
    resource: str,
) -> None:
    """In a process of its own: the hub's library reads the environment once, when it is imported."""
    store(home)
    before = {path: path.read_bytes() for path in home.iterdir()}
    if resource:
        monkeypatch.setenv("HF_OIDC_RESOURCE", resource)
        monkeypatch.setenv("HF_OIDC_ID_TOKEN", "of-the-ci")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert asked == expected
    assert {path: path.read_bytes() for path in home.iterdir()} == before
    assert SECRET not in ran.stdout
