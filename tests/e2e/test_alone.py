"""Who may do what: the program talks to nobody by itself, its files are private, a token stays a secret."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal

GUARD = Path(__file__).parent / "guard"
TOKEN = "hf_CanaryThatMustNotBeSeen"

pytestmark = [pytest.mark.e2e, pytest.mark.model]


@pytest.fixture
def _open_umask() -> Iterator[None]:
    """What is made without care could be read and written by everybody."""
    old = os.umask(0)
    yield
    os.umask(old)


class Home:
    """A home with everything that chatterm keeps, and what its programs did to the network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempts_file = folder / "network"
        self.variables = {
            "HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": "",
            "XDG_DATA_HOME": "",
            "XDG_CACHE_HOME": "",
            "XDG_STATE_HOME": "",
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder / "data"),
            "CHATTERM_CACHE": str(folder / "cache"),
            "CHATTERM_LOG": str(folder / "log"),
            "CHATTERM_MODELS": str(folder / "models"),
            "CHATTERM_TEST_NETWORK": str(self.attempts_file),
            "PYTHONPATH": str(GUARD),
            "HF_TOKEN": TOKEN,
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody is there
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "",
        }
        (folder / "home").mkdir(mode=0o700)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chatterm", *arguments],
            env={**os.environ, **self.variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    @property
    def attempts(self) -> list[str]:
        """What was tried; every process must have been watched for this to mean anything."""
        lines = self.attempts_file.read_text().splitlines()
        assert lines.count("started") >= 2, "the engine was not watched"
        return [line for line in lines if line != "started"]

    def open_to_others(self) -> list[str]:
        """Files and folders that somebody else may read or enter."""
        kept = [
            path for path in self.folder.rglob("*") if not path.is_symlink() and path != self.attempts_file
        ]
        return [
            f"{stat.filemode(path.stat().st_mode)} {path.relative_to(self.folder)}"
            for path in kept
            if path.stat().st_mode & 0o077 and not stat.S_ISSOCK(path.stat().st_mode)
        ]

    def with_the_token(self) -> list[Path]:
        return [
            path for path in self.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
        ]


@pytest.mark.usefixtures("_open_umask")
def test_a_chat_leaves_private_files_and_talks_to_nobody(tmp_path: Path, default_model_path: Path) -> None:
    home = Home(tmp_path)
    chat = Terminal(["-m", str(default_model_path)], tmp_path, 150, 40, home.variables)
    try:
        chat.wait("is ready", 180)
        chat.type("What is the capital of France?")
        chat.wait("What is the capital of France?", 60)
        chat.press("enter")
        chat.wait(" saved", 180)
        chat.type(f"/export html {tmp_path / 'talk.html'}")
        chat.press("enter")
        chat.wait(lambda _: (tmp_path / "talk.html").is_file(), 60)
        chat.press("alt+2")  # the lens: the glass box too
        chat.read(2)
        chat.press("f4", "escape", "ctrl+q")
        assert chat.end(60) == 0
    finally:
        chat.process.close(force=True)
    assert home.attempts == []
    assert (tmp_path / "data" / "library.sqlite3").is_file()
    assert home.open_to_others() == []
    assert home.with_the_token() == []


@pytest.mark.usefixtures("_open_umask")
def test_commands_leave_private_files_and_talk_to_nobody(tmp_path: Path, default_model_path: Path) -> None:
    home = Home(tmp_path)
    model = ("-m", str(default_model_path))
    said = ""
    for arguments in (
        ("ask", *model, "--max-tokens", "3", "hello"),
        ("presets", "save", "mine"),
        ("doctor",),
    ):
        done = home.run(*arguments)
        said += done.stdout + done.stderr
    assert home.attempts == []
    assert TOKEN not in said and "found in HF_TOKEN" in said
    assert list((tmp_path / "cache").iterdir()), "nothing was kept, so nothing was looked at"
    assert home.open_to_others() == []
    assert home.with_the_token() == []


def test_a_stored_token_that_ends_soon_is_neither_sent_nor_renewed_by_looking(tmp_path: Path) -> None:
    """As a login in the browser leaves it: the hub's own library would renew it over the network."""
    home = Home(tmp_path)
    home.variables |= {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_HOME": str(tmp_path / "hf")}
    home.variables["CHATTERM_NATIVE"] = "0"  # nothing is compiled for this
    files = {
        tmp_path / "hf" / "token": TOKEN,
        tmp_path / "hf" / "stored_tokens": f"[me]\nhf_token={TOKEN}\nrefresh_token={TOKEN}\nexpires_at=1\n",
    }
    (tmp_path / "hf").mkdir()
    for file, text in files.items():
        file.write_text(text)
    done = home.run("doctor")
    assert "as `hf auth login` stored it" in done.stdout and TOKEN not in done.stdout + done.stderr
    assert home.attempts == []
    assert {file: file.read_text() for file in home.with_the_token()} == files


@pytest.mark.usefixtures("_open_umask")
def test_a_download_that_was_asked_for_asks_the_hub_and_says_no_token(tmp_path: Path) -> None:
    home = Home(tmp_path)
    done = home.run("models", "get", "organisation/tiny")
    assert done.returncode == 2 and "cannot be reached" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert home.attempts and all("127.0.0.1" in attempt for attempt in home.attempts)
    assert home.open_to_others() == []
    assert home.with_the_token() == []
