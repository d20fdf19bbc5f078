"""All comparisons: `python -m benchmarks [peers] [accuracy] [cache] [interface] [--write]`.

Measures chatterm against llama.cpp and transformers in one run, its probabilities against exact ones, and
the interface under load. `--write` puts the tables into docs/performance.md, which also says how to build the
two programs of llama.cpp that `--llama` needs; without them that comparison is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.figures import replace_section
from chatterm.checkpoint.locate import locate

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
SECTIONS = ("peers", "accuracy", "cache", "interface")


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=(*SECTIONS, []), help="what to measure; all if none")
    parser.add_argument("-m", "--model", action="append", help="a path or name, repeatable; default: default")
    parser.add_argument(
        "--llama",
        type=Path,
        default=os.environ.get("CHATTERM_LLAMA"),
        help="folder of llama-bench and llama_logits",
    )
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    models = [locate(name) for name in options.model or ["default"]]
    llama = Path(options.llama) if options.llama else None
    for section in options.sections or SECTIONS:
        text = _measure(section, models, llama, options.threads, options.rounds)
        print(f"\n{text}\n", flush=True)
        if options.write:
            document = DOCUMENT.read_text("utf-8")
            DOCUMENT.write_text(replace_section(document, section, f"{text}\n\n{machine()}"), "utf-8")


def _measure(section: str, models: list[Path], llama: Path | None, threads: int, rounds: int) -> str:
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
    from benchmarks.interface import measure as interface

    return interface.report(interface.measure(rounds))


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
