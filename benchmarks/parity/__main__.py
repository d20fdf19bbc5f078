"""`python -m benchmarks.parity`: run every case and write docs/parity.md with the measured differences.

`python -m benchmarks.parity --keys [FAMILY …]`: change one key of config.json at a time, see
`benchmarks.parity.keys`.
With `--converter [TEXT]` the files of llama.cpp's own converter instead (those whose name contains TEXT; only
all of them are written down).
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.parity.cases import CASES, TRAINED, WINDOW
from benchmarks.parity.converter.measure import Converter, Measured
from benchmarks.parity.converter.measure import measure as measure_file
from benchmarks.parity.converter.page import HEADING, section
from benchmarks.parity.converter.source import converter
from benchmarks.parity.converter.variants import VARIANTS
from benchmarks.parity.measure import PIECES, TOLERANCE, Difference, measure
from benchmarks.parity.reference import TEXT_LENGTH

DOCUMENT = Path(__file__).parents[2] / "docs" / "parity.md"


def main() -> int:
    """Measure, print, write. Exit status 1 if a difference is too large."""
    import transformers

    if sys.argv[1:2] == ["--keys"]:
        from benchmarks.parity import keys

        return keys.main(sys.argv[2:])
    if sys.argv[1:2] not in ([], ["--converter"]):
        print(__doc__, file=sys.stderr)
        return 2

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if sys.argv[1:]:
        return _converter("".join(sys.argv[2:3]))
    differences: list[Difference] = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            for difference in measure(case, Path(folder)):
                differences.append(difference)
                print(f"{difference.worst:.1e}  {difference.format:11}  {case.name}", flush=True)
    _write(document(differences), before=True)
    worst = max(difference.worst for difference in differences)
    print(f"largest of all: {worst:.1e}; written to {DOCUMENT}")
    return int(worst >= TOLERANCE)


def _converter(wanted: str) -> int:
    """Every variant through llama.cpp's converter. Exit status 1 if a file is silently wrong."""
    worker = Converter(converter())
    measured: list[Measured] = []
    for variant in VARIANTS:
        if wanted not in variant.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            measured.append(measure_file(variant, worker, Path(folder)))
        difference = measured[-1].difference
        figure = "" if difference is None else f"{difference:.1e}"
        print(f"{measured[-1].outcome:16}{figure:9}{variant.name}  {measured[-1].why[:150]}", flush=True)
    worker.close()
    if not wanted:
        _write(section(measured, version("transformers")), before=False)
    return int(any(one.outcome == "WRONG" for one in measured))


def _write(part: str, *, before: bool) -> None:
    """Put a part of the page in its place and leave the other one as it is."""
    text = DOCUMENT.read_text("utf-8") if DOCUMENT.is_file() else ""
    cases, found, files = text.partition(HEADING)
    whole = f"{part.rstrip()}\n\n{found}{files}" if before else f"{cases.rstrip()}\n\n{part}"
    DOCUMENT.write_text(f"{whole.strip()}\n", "utf-8")


def document(differences: list[Difference]) -> str:
    """The page."""
    worst = max(difference.worst for difference in differences)
    rows = "\n".join(_row(difference) for difference in differences)
    pieces = ", ".join(map(str, PIECES))
    return f"""# Are the numbers right?

For every case a tiny random checkpoint is made and saved by Hugging Face transformers and loaded by
chatterm, and both compute the log-probabilities of the whole vocabulary after each of {TEXT_LENGTH} tokens,
in float32 on a CPU. The table holds the largest absolute difference, in nats; the tests ask for less than
{TOLERANCE:g}. The largest of all is **{worst:.1e}**.

*prefill*: the text in one go. *pieces*: in goes of {pieces} tokens on one cache. *decode*: token by
token. "old keys" is the `config.json` style before `rope_parameters`. Windows ({WINDOW} tokens) and the
trained lengths of rope scaling ({TRAINED}) are shorter than the text, so that their boundaries are crossed.
GGUF files are written as llama.cpp's converter writes them; with a block type (Q4_0 …) both sides have the
same rounded weights.

Each case runs twice, in torch alone and with chatterm's native operator; the table has the larger difference.

Beyond the trained length, dynamic scaling gives every token another set of frequencies; like transformers,
chatterm leaves the keys in the cache as they were rotated, so only *prefill* and *decode* have a reference.
With LongRoPE the cached text is read anew when it outgrows the trained length, as transformers' `generate`
does.

Keys of `config.json` are held against transformers one at a time: `python -m benchmarks.parity --keys`, and
"No key left aside" in [families.md](families.md).

Made by `python -m benchmarks.parity` with torch {version("torch")}, transformers {version("transformers")}.

| family | case | format | stored as | prefill | pieces | decode |
|---|---|---|---|---|---|---|
{rows}
"""


def _row(difference: Difference) -> str:
    case = difference.case
    what = case.name.removeprefix(f"{case.family}, ")
    pieces = "—" if difference.pieces is None else f"{difference.pieces:.1e}"
    return (
        f"| {case.family} | {what} | {difference.format} | {difference.quantisation} "
        f"| {difference.prefill:.1e} | {pieces} | {difference.decode:.1e} |"
    )


if __name__ == "__main__":
    sys.exit(main())
