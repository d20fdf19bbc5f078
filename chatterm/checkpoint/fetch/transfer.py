"""One file from the network to the disk: resumed where it broke off, verified, only then given its name."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.web import Client, RefusedError, UnreachableError
from chatterm.errors import UserError
from chatterm.paths import plain_opener, private_opener

CHUNK = 1 << 18
LONGEST_WAIT = 60.0
"""Seconds that a server may ask us to wait before the next try; after one that asks for more, we leave."""

_TRIES_UNHEARD = 2
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DamagedError(UserError):
    """What came is not what was announced."""


@dataclass(frozen=True)
class Checksum:
    """What a file must hash to: its SHA-256, or the SHA-1 that git gives a blob of that content."""

    kind: Literal["sha256", "git"]
    value: str  # hexadecimal, lower case

    def start(self, size: int) -> hashlib._Hash:
        """A running hash for a file of `size` bytes."""
        if self.kind == "sha256":
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


@dataclass(frozen=True)
class RemoteFile:
    """A file to be downloaded: where from, under which name, and all that is known about its content."""

    name: str
    url: str
    size: int  # bytes
    checksums: tuple[Checksum, ...]  # every one of them must agree

    def part(self, folder: Path) -> Path:
        """Where it grows. The name says which content it is, so that no other is ever continued."""
        identity = "-".join(checksum.value[:12] for checksum in self.checksums) or f"{self.size}"
        return folder / f"{self.name}.{identity}.part"


def download(file: RemoteFile, folder: Path, client: Client, meter: Meter) -> Path:
    """Download a file into a folder, going on from what an earlier attempt left there.

    Raises:
        RefusedError: the server says no.
        UnreachableError: it broke off too often; what has come so far is kept.
        DamagedError: size or checksum are not those announced.
        FetchStoppedError: the person stopped it; what has come so far is kept.
        OSError: the disk does not take it.
    """
    target = folder / file.name
    start = meter.done
    meter.rename(f"downloading {file.name}")
    if target.is_file() and is_intact(target, file, meter):
        meter.advance(start + file.size)
        return target
    part = file.part(folder)
    resumed = part.is_file() and part.stat().st_size > 0
    _transfer(file, part, client, meter, start)
    meter.rename(f"checking {file.name}")
    if not is_intact(part, file, meter):
        part.unlink()
        if resumed:  # the fault may lie in what was there before
            meter.advance(start)
            return download(file, folder, client, meter)
        raise DamagedError(
            f"{file.name} came with other content than announced, so it was thrown away; try again, "
            "and if it happens again something between here and the hub changes what it carries."
        )
    part.replace(target)
    meter.advance(start + file.size)
    return target


def is_intact(path: Path, file: RemoteFile, meter: Meter) -> bool:
    """Whether a file on disk has the announced size and checksums."""
    if path.stat().st_size != file.size:
        return False
    hashes = [checksum.start(file.size) for checksum in file.checksums]
    with open(path, "rb", opener=plain_opener) as content:
        while chunk := content.read(CHUNK * 4):
            meter.check()
            for running in hashes:
                running.update(chunk)
    return all(
        running.hexdigest() == checksum.value
        for running, checksum in zip(hashes, file.checksums, strict=True)
    )


def _transfer(file: RemoteFile, part: Path, client: Client, meter: Meter, start: int) -> None:
    """Make the part as large as the file, in as many requests as that takes."""
    timeouts = client.timeouts
    failures = 0
    heard = False  # a server that has never answered gets less patience than one that did
    with open(part, "ab", opener=private_opener) as sink:
        while (have := sink.tell()) < file.size:
            try:
                _receive(file, sink, client, meter, start, timeouts.stall if heard else timeouts.connect)
            except (UnreachableError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.status == 416 and have:
                    sink.truncate(0)  # it does not send the rest of a file: the whole again
                    sink.seek(0)
                elif isinstance(error, RefusedError) and not _passes(error):
                    raise
                heard = heard or sink.tell() > have or isinstance(error, RefusedError)
                failures = 1 if sink.tell() > have else failures + 1
                if failures >= (timeouts.tries if heard else min(timeouts.tries, _TRIES_UNHEARD)):
                    raise
                asked = error.retry_after if isinstance(error, RefusedError) else 0.0
                _wait(max(timeouts.pause * 2 ** (failures - 1), asked), client)
        if sink.tell() > file.size:
            sink.truncate(file.size)
        sink.flush()
        os.fsync(sink.fileno())


def _passes(error: RefusedError) -> bool:
    """Whether what the server refuses now it may give in a minute."""
    return (error.status == 429 or error.status >= 500) and error.retry_after <= LONGEST_WAIT


def _receive(
    file: RemoteFile, sink: IO[bytes], client: Client, meter: Meter, start: int, seconds: float
) -> None:
    """One request: whatever comes of it is written at the end of the part."""
    have = sink.tell()
    meter.advance(start + have)
    with client.open(
        file.url, headers={"Range": f"bytes={have}-"} if have else {}, seconds=seconds
    ) as response:
        if have and not _continues(response, have):
            sink.seek(0)
            sink.truncate()
            have = 0
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.isdigit() and have + int(announced) != file.size:
            raise DamagedError(
                f"{file.name} is {have + int(announced)} bytes long where the listing says {file.size}; "
                "it may be changing just now, so try again later."
            )
        while have < file.size and (chunk := client.read_some(response, CHUNK)):
            sink.write(chunk)
            have += len(chunk)
            meter.advance(start + min(have, file.size))
    if have < file.size:
        raise UnreachableError("the connection broke off")


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Whether an answer goes on where we are; a server may also answer with the whole."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    return response.status == 206 and found is not None and int(found[1]) == have


def _wait(seconds: float, client: Client) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        client.check()
        time.sleep(min(left, 0.1))
