"""Compiling the native operator, once per machine, and remembering the result."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from chatterm import paths
from chatterm.model.native.binding import open_library
from chatterm.model.native.trust import distrust

SOURCES = ("step.c", "attend.h", "engine.h", "pack.h", "pool.h", "simd.h", "slices.h", "tiles.h", "vectors.h")
FLAGS = ("-O3", "-std=gnu11", "-fvisibility=hidden", "-shared", "-fPIC", "-pthread")
TUNING = ("-march=native", "-mcpu=native")
"""How compilers are told to use every instruction of this processor; the first that works is taken."""

MARCH = "CHATTERM_MARCH"
"""In the environment, the processor to compile for instead of this one, as the compiler's `-march=` names it:
to measure what others get. This processor must have its instructions."""

COMPILE_SECONDS = 120
DISABLE = "CHATTERM_NATIVE"
"""Set to 0 in the environment, it makes chatterm do without the native operator."""


class NotBuiltError(Exception):
    """There is no native operator here; the message says why."""


@functools.cache
def library() -> ctypes.CDLL:
    """The operator, compiled if this machine has not done so yet (a few seconds).

    Raises:
        NotBuiltError: it is switched off, there is no compiler, it does not compile, or somebody else could
            put another in its place.
    """
    file = compiled(Path(__file__).parent, SOURCES)
    try:
        return open_library(file)
    except OSError as error:
        raise NotBuiltError(f"it cannot be loaded ({error})") from error


def compiled(folder: Path, sources: tuple[str, ...]) -> Path:
    """The shared object made of the first of `sources` (in `folder`), which includes the others.

    Raises:
        NotBuiltError: as `library`.
    """
    if os.environ.get(DISABLE) == "0":
        raise NotBuiltError(f"switched off by {DISABLE}=0")
    if sys.byteorder != "little" or sys.platform == "win32":
        raise NotBuiltError("not made for this kind of machine")
    compiler = _compiler()
    if compiler is None:
        raise NotBuiltError("there is no C compiler")
    source = folder / sources[0]
    fingerprint = _fingerprint(compiler, [folder / name for name in sources])
    file = paths.cache_folder() / "native" / f"{source.stem}-{fingerprint}.so"
    _refuse_others(file)
    if not file.exists():
        _compile(compiler, source, file)
    _refuse_others(file)  # its folder may have been missing before, and then made by anybody
    return Path(os.path.realpath(file))


def _refuse_others(path: Path) -> None:
    if reason := distrust(path, paths.cache_folder()):
        raise NotBuiltError(f"not trusted: {reason}")


def expected() -> bool:
    """Whether the operator is most likely to be had here; nothing is compiled to find out."""
    if os.environ.get(DISABLE) == "0" or sys.platform == "win32" or _compiler() is None:
        return False
    return not distrust(paths.cache_folder(), paths.cache_folder())


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CC", "")) or shutil.which("cc") or shutil.which("gcc")


def _fingerprint(compiler: str, sources: list[Path]) -> str:
    """Changes with the sources, the compiler and the processor."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    stat = Path(compiler).resolve().stat()
    digest.update(repr((compiler, stat.st_size, stat.st_mtime_ns, FLAGS, *_tunings(), processor())).encode())
    return digest.hexdigest()[:16]


def _tunings() -> tuple[str, ...]:
    """How to say for which processor to compile, what to try first."""
    march = os.environ.get(MARCH)
    if not march:
        return (*TUNING, "")
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+", march):
        raise NotBuiltError(f"{MARCH}={march!r} is no name of a processor")
    return (f"-march={march}",)


def processor() -> str:
    """What kind of processor this is: its model and every feature it has."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = [line for line in text.splitlines() if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(sorted(set(facts)))


def _compile(compiler: str, source: Path, file: Path) -> None:
    """Compile into place, whole or not at all."""
    try:
        paths.make_private(file.parent)
        _refuse_others(file.parent)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder) / file.name
            problem = ""
            for tuning in _tunings():
                problem = _run(compiler, [*FLAGS, *filter(None, [tuning])], source, made)
                if not problem:
                    made.chmod(0o600)
                    made.replace(file)
                    return
    except OSError as error:
        raise NotBuiltError(f"it cannot be compiled ({error})") from error
    raise NotBuiltError(f"it does not compile: {problem}")


def _run(compiler: str, flags: list[str], source: Path, out: Path) -> str:
    """Compile once; an empty string, or what the compiler complained of first."""
    command = [compiler, *flags, "-o", str(out), str(source), "-lm"]
    try:
        result = subprocess.run(  # noqa: S603  our own source, the user's own compiler, no shell
            command, capture_output=True, text=True, errors="replace", timeout=COMPILE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{compiler} took more than {COMPILE_SECONDS} s"
    if result.returncode == 0:
        return ""
    lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
    return lines[0][:200] if lines else f"{compiler} ended with status {result.returncode}"
