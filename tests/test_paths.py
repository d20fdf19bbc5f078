"""Folders and files are the user's alone, and a home that cannot be found is no reason to fall over."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterm import paths
from chatterm.engine.client import EngineProcess
from chatterm.web.server import ChatServer, listen


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(params=[0o000, 0o077], ids=["open umask", "closed umask"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    old = os.umask(request.param)
    yield
    os.umask(old)


@pytest.mark.usefixtures("_umask")
def test_every_folder_that_is_made_is_private_and_those_there_stay(tmp_path: Path) -> None:
    there = tmp_path / "shared"
    there.mkdir()
    there.chmod(0o755)
    folder = there / "a" / "b" / "c"
    assert paths.make_private(folder) == folder
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert mode(there) == 0o755
    paths.make_private(folder)


@pytest.mark.usefixtures("_umask")
def test_a_file_that_is_made_is_private(tmp_path: Path) -> None:
    with open(tmp_path / "file", "xb", opener=paths.private_opener) as file:
        file.write(b"x")
    paths.write_private(tmp_path / "written", b"y")
    paths.write_private(tmp_path / "written", b"z")
    assert mode(tmp_path / "file") == mode(tmp_path / "written") == 0o600
    assert (tmp_path / "written").read_bytes() == b"z"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_written_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut an empty file would stand there otherwise, and the old one would be gone."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def named(path: Path, target: Path) -> Path:
        done.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    paths.write_private(tmp_path / "file", b"x")
    assert done == ["file", "name", "folder"]
    paths.write_private(tmp_path / "file", b"y", durable=False)
    assert done[3:] == ["name"]


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_what_cannot_be_written_leaves_what_was(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.write_private(tmp_path / "file", b"x")
    monkeypatch.setattr(fails, full)
    with pytest.raises(OSError, match="No space left"):
        paths.write_private(tmp_path / "file", b"y")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"x")]


def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("has_links", [True, False])
def test_what_is_there_is_not_replaced_unasked(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", full)
    paths.write_private(tmp_path / "file", b"x", replace=False)
    with pytest.raises(FileExistsError):
        paths.write_private(tmp_path / "file", b"y", replace=False)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"x")]
    monkeypatch.setattr(Path, "read_bytes", full)
    if not has_links:
        with pytest.raises(OSError, match="No space left"):
            paths.write_private(tmp_path / "half", b"y", replace=False)
        assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_two_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    barrier, failures = threading.Barrier(4), []

    def write(content: bytes) -> None:
        barrier.wait()
        for _ in range(50):
            try:
                paths.write_private(tmp_path / "file", content, durable=False)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=write, args=(bytes([n]) * 9999,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set((tmp_path / "file").read_bytes())) == 1


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            paths.make_private(folder)


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(OSError, match="Not a regular file"):
            paths.first_bytes(tmp_path / name, 10)
    with pytest.raises(IsADirectoryError):
        paths.first_bytes(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        paths.first_bytes(tmp_path / "missing", 10)
    (tmp_path / "file").write_bytes(b"0123456789")
    assert paths.first_bytes(tmp_path / "file", 4) == b"0123"


@pytest.mark.timeout(20)
def test_a_file_that_becomes_a_pipe_just_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").touch()
    before = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: before)
    with pytest.raises(OSError, match="Not a regular file"):
        paths.first_bytes(pipe, 10)


def test_many_may_make_a_folder_at_once(tmp_path: Path) -> None:
    barrier, failures = threading.Barrier(8), []

    def make(folder: Path) -> None:
        barrier.wait()
        try:
            paths.make_private(folder)
        except OSError as error:
            failures.append(error)

    for number in range(10):
        threads = [threading.Thread(target=make, args=(tmp_path / f"{number}/a/b",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_user_without_a_home_has_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started with a user number that nobody has."""
    for variable in ("HOME", "CHATTERM_DATA", "CHATTERM_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert paths.data_folder() == Path("/.local/share/chatterm")
    assert paths.user_models_folder() == Path("/.local/share/chatterm/models")
    assert paths.expand("~/x") == Path("~/x")


def test_a_home_of_somebody_who_is_not_there_stays_as_it_is_written() -> None:
    assert paths.expand("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_no_program_of_ours_takes_modules_from_the_folder_that_one_is_in() -> None:
    assert EngineProcess.COMMAND[:2] == (sys.executable, "-P")
    with listen(0) as listener:
        assert ChatServer([], listener).arguments[:2] == [sys.executable, "-P"]


async def test_a_module_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of downloads may hold a file called like one of Python's own modules."""
    for name in ("msgspec", "jinja2", "traceback"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('was-run').touch()")
    monkeypatch.chdir(tmp_path)
    engine = await EngineProcess.start()
    await engine.close()
    assert not (tmp_path / "was-run").exists()
