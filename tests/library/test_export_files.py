"""Writing an export: the whole of it under its name, or nothing."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from chatterm import paths
from chatterm.errors import UserError
from chatterm.library.exports import files


class FullDisk(io.FileIO):
    """A file on a disk that has room for three bytes more."""

    def write(self, data: bytes, /) -> int:
        super().write(data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)


@pytest.mark.usefixtures("no_hard_links")
def test_without_hard_links_a_file_is_written_and_none_replaced(tmp_path: Path) -> None:
    path = tmp_path / "export.md"
    files.write(path, b"all of it")
    with pytest.raises(UserError, match="is there already"):
        files.write(path, b"something else")
    assert path.read_bytes() == b"all of it" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("no_hard_links")
def test_a_disk_that_gets_full_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "open", FullDisk, raising=False)
    with pytest.raises(UserError, match="No space left"):
        files.write(tmp_path / "export.md", b"all of it")
    assert list(tmp_path.iterdir()) == []
