"""All comparisons: `python -m benchmarks [peers] [accuracy] [cache] [interface] [gpu] [loading]
[continuations] [--write]`.

Measures chatterm against llama.cpp and transformers in one run, its probabilities against exact ones, the
interface under load, and the engine on a GPU where there is one. `--write` puts the tables into
docs/performance.md. llama.cpp is built when it is first needed (`benchmarks.llama_cpp`); `--llama FOLDER`
takes another build, `--llama none` does without.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast, get_args

import psutil

from benchmarks.figures import replace_section
from benchmarks.llama_cpp import Instructions, folder
from chatterm.checkpoint.locate import locate

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
SECTIONS = ("peers", "accuracy", "cache", "continuations", "interface", "gpu", "loading")


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=(*SECTIONS, []), help="what to measure; all if none")
    parser.add_argument("-m", "--model", action="append", help="a path or name, repeatable; default: default")
    parser.add_argument(
        "--llama",
        default=os.environ.get("CHATTERM_LLAMA", "native"),
        help="native or avx2: build it so; else the folder of llama-bench and llama_logits, or none",
    )
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout, timed in turn (interface, loading)")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    models = [locate(name) for name in options.model or ["default"]]
    sections = options.sections or SECTIONS
    llama = _llama(options.llama) if {"peers", "accuracy"} & set(sections) else None
    for section in sections:
        text = _measure(section, models, llama, options)
        print(f"\n{text}\n", flush=True)
        if options.write:
            document = DOCUMENT.read_text("utf-8")
            DOCUMENT.write_text(replace_section(document, section, f"{text}\n\n{machine()}"), "utf-8")


def _llama(wanted: str) -> Path | None:
    """The folder of llama.cpp's programs, or None where it is to be left out."""
    if wanted == "none":
        return None
    if wanted in get_args(Instructions):
        return folder(cast(Instructions, wanted))
    return Path(wanted)


def _measure(section: str, models: list[Path], llama: Path | None, options: argparse.Namespace) -> str:
    threads, rounds = options.threads, options.rounds
    if section == "peers":
        from benchmarks import peers

        program = llama / "llama-bench" if llama is not None else None
        found = [peers.compare(model, program, threads, rounds) for model in models]
        return peers.report(found, threads, rounds)
    if section == "accuracy":
        from benchmarks import accuracy

        rows = None
        if llama is not None:
            logits = partial(accuracy.llama_rows, llama / "llama_logits", threads=threads)
            rows = lambda model, tokens, batch: logits(model, tokens, batch)  # noqa: E731
        return accuracy.report([accuracy.measure(model, rows) for model in models])
    if section == "cache":
        from benchmarks import cache, sharp

        with tempfile.TemporaryDirectory() as folder:
            tiny = cache.measure_tiny(sharp.make, Path(folder))
        return cache.report([row for model in models for row in cache.measure(model)], tiny)
    if section == "continuations":
        from benchmarks import continuations

        return continuations.report(
            [continuations.compare(model, threads, rounds) for model in models], threads, rounds
        )
    if section == "gpu":
        from benchmarks import gpu

        return gpu.report()
    if section == "loading":
        from benchmarks import loading

        return loading.measure(models, options.against, rounds, reply=True)
    from benchmarks.interface import measure as interface
    from benchmarks.interface import pace
    from benchmarks.interface.checkout import checkouts

    paces = pace.report(pace.measure(checkouts(options.against), rounds))
    return f"{paces}\n\n{interface.report(interface.measure(rounds))}"


def machine() -> str:
    """The line below each table."""
    from chatterm.engine.machine import examine
    from chatterm.engine.messages import Examine

    examined = examine(Examine(request=0))
    return (
        f"<sub>{examined.devices[0].description}, {examined.instructions}, "
        f"{examined.total_bytes / 1e9:.0f} GB, {platform.system()}; torch {examined.torch}, "
        f"transformers {version('transformers')}, Python {platform.python_version()}.</sub>"
    )


if __name__ == "__main__":
    main()
