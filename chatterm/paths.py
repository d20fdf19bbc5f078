"""Where chatterm keeps things. Every folder can be moved by an environment variable, which the tests use."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from platformdirs import PlatformDirs

Kind = Literal["config", "data", "cache", "log"]

_DIRS = PlatformDirs("chatterm", appauthor=False)
_WITHOUT_HOME: dict[Kind, str] = {
    "config": "/.config/chatterm",
    "data": "/.local/share/chatterm",
    "cache": "/.cache/chatterm",
    "log": "/.local/state/chatterm/log",
}


def expand(path: str | Path) -> Path:
    """`~` replaced by the home folder, where there is one; elsewhere it stays, and nothing will be there."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises where there is no home


def _folder(variable: str, kind: Kind) -> Path:
    if named := os.environ.get(variable):
        return expand(named)
    try:
        return Path(getattr(_DIRS, f"user_{kind}_dir"))
    except (
        RuntimeError
    ):  # a user whom the system does not know has no home: the root folder, as in containers
        return Path(_WITHOUT_HOME[kind])


def make_private(folder: Path) -> Path:
    """Make a folder, and those above it that are missing, for the user alone (0700).

    Those that are there stay as they are.

    Raises:
        OSError: it cannot be made, or something else has the name.
    """
    missing = []
    for above in (folder, *folder.parents):
        if above.is_dir():
            break
        missing.append(above)
    for one in reversed(missing):
        with suppress(FileExistsError):  # another program was quicker; whether it is a folder is seen below
            one.mkdir(mode=0o700)
    folder.mkdir(exist_ok=True)
    return folder


def write_private(file: Path, content: bytes, *, replace: bool = True, durable: bool = True) -> None:
    """Put a file there for the user alone (0600), whole or not at all.

    Args:
        file: where; its folder is there.
        content: all of it.
        replace: a file that is there already.
        durable: a power cut leaves the old file or the new one. Without this nothing waits for the disk, and
            what is there afterwards may be empty: for what can be done without.

    Raises:
        FileExistsError: there is one already, and it is not to be replaced.
        OSError: it cannot be written; what was there is as it was.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".writing-")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(handle)
        if replace:
            part.replace(file)
        else:
            _move_to_new(part, file)
    finally:
        with suppress(OSError):
            part.unlink()
    if durable:
        sync_folder(file.parent)


def _move_to_new(part: Path, file: Path) -> None:
    """Give a file its name only if nobody has it."""
    try:
        file.hardlink_to(part)
        return
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        stream = open(file, "xb", opener=private_opener)  # noqa: SIM115 - one that is there stays: no `with`
    try:
        with stream:
            stream.write(part.read_bytes())
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where the system can."""
    if os.name == "posix":
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def private_opener(path: str, flags: int) -> int:
    """For `open(…, opener=private_opener)`: a file that is made is the user's alone (0600).

    Raises:
        OSError: it cannot be opened, or a pipe, a socket or a device has the name.
    """
    return _opened(path, flags)


def plain_opener(path: str, flags: int) -> int:
    """For `open(…, "rb", opener=plain_opener)`: what is no file or folder is an error, not waited for.

    A pipe without a writer would hold whoever opens it for ever, a device may do anything at all.

    Raises:
        OSError: it cannot be opened, or is a pipe, a socket or a device.
    """
    _refuse_special(Path(path).stat().st_mode, path)  # opening a device can do something already
    return _opened(path, flags)


def _opened(path: str, flags: int) -> int:
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        _refuse_special(os.fstat(file).st_mode, path)
    except OSError:
        os.close(file)
        raise
    return file


def _refuse_special(mode: int, path: str) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "Not a regular file", path)


def first_bytes(file: Path, count: int) -> bytes:
    """The first bytes of a file, at most `count` of them.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe, a socket or a device.
    """
    with open(file, "rb", opener=plain_opener) as stream:
        return stream.read(count)


def config_folder() -> Path:
    """Settings, key map and themes (`CHATTERM_CONFIG`)."""
    return _folder("CHATTERM_CONFIG", "config")


def data_folder() -> Path:
    """The conversation library (`CHATTERM_DATA`)."""
    return _folder("CHATTERM_DATA", "data")


def cache_folder() -> Path:
    """What can be made again: measurements, partial downloads (`CHATTERM_CACHE`)."""
    return _folder("CHATTERM_CACHE", "cache")


def log_folder() -> Path:
    """Logs of the engine process (`CHATTERM_LOG`)."""
    return _folder("CHATTERM_LOG", "log")


def user_models_folder() -> Path:
    """The user's own checkpoints, where downloads go (`CHATTERM_MODELS`)."""
    named = os.environ.get("CHATTERM_MODELS")
    return expand(named) if named else _folder("", "data") / "models"


def clone_models_folder() -> Path | None:
    """The folder `models/` of the clone that chatterm runs from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    folder = root / "models"
    return folder if (root / "pyproject.toml").is_file() and folder.is_dir() else None
