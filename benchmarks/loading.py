"""Loading a checkpoint: seconds, memory on the way and afterwards, and at the peak of a reply.

Each load is a fresh engine process of chatterm, in turn with another checkout's where one is given. Processor
time and memory hardly depend on what else the machine does; seconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Spread, ratio, table
from chatterm.checkpoint.locate import locate

PROMPT = 2048
REPLY = 16
HERE = Path(__file__).parents[1]

_ONE_LOAD = f"""
import json, sys, threading, time
from pathlib import Path
import psutil

process, began = psutil.Process(), time.perf_counter()
status = lambda: dict(line.split(":") for line in open("/proc/self/status"))
kilobytes = lambda name: int(status()[name].split()[0])
peak, on = 0, True

def watch():
    global peak
    while on:
        peak = max(peak, kilobytes("VmRSS"))
        time.sleep(0.005)

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
from chatterm.engine.messages import LoadOptions
from chatterm.engine.session import Session
imported, worked = time.perf_counter(), process.cpu_times()
session = Session(Path(sys.argv[1]), LoadOptions(device="cpu", threads=2), lambda done, total: None)
loaded, done = time.perf_counter(), process.cpu_times()
loading, own = peak, kilobytes("RssAnon")
room = session.context.capacity
ids = [5 + place * 7919 % (session.info.vocabulary - 5) for place in range(min({PROMPT}, room - {REPLY}))]
session.context.begin(ids[:1])
for _ in session.context.read(ids[:1]):
    pass
session.context.logits_after(1)
first = time.perf_counter()
if len(sys.argv) > 2:
    peak = 0
    session.context.begin(ids)
    for _ in session.context.read(ids):
        pass
    for token in range({REPLY}):
        session.context.logits_after(len(ids))
        ids = [*ids, token + 5]
        session.context.begin(ids)
        for _ in session.context.read(ids):
            pass
on = False
watcher.join()
print(json.dumps({{
    "seconds": loaded - imported,
    "processor": sum(done[:2]) - sum(worked[:2]),
    "first": first - began,
    "loading": loading / 1024,
    "own": own / 1024,
    "reply": peak / 1024,
}}))
"""


def one_load(checkout: Path, model: Path, *, reply: bool) -> dict[str, float]:
    """Load in a process of that checkout's chatterm: seconds and MiB by name."""
    command = [sys.executable, "-c", _ONE_LOAD, str(model), *(["reply"] if reply else [])]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    result = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"loading {model.name} failed: {result.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def measure(models: list[Path], against: Path | None, rounds: int, *, reply: bool) -> str:
    """The table."""
    rows = []
    for model in models:
        size = model.stat().st_size / 2**20
        found: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
        for _ in range(rounds):
            if against is not None:
                found["theirs"].append(one_load(against, model, reply=reply))
            found["ours"].append(one_load(HERE, model, reply=reply))
        rows += [_row(name, key, model, size, found) for name, key in _FIGURES if reply or key != "reply"]
    return table(["file", "", "now", "before", "ratio of each pair"], rows)


_FIGURES = (
    ("s to load, torch imported", "seconds"),
    ("s of processor time to load", "processor"),
    ("s from the first import to the first token", "first"),
    ("MiB resident while loading, most", "loading"),
    ("MiB own memory afterwards", "own"),
    (f"MiB resident, prompt of {PROMPT} and a reply, most", "reply"),
)


def _row(
    name: str, key: str, model: Path, size: float, found: dict[str, list[dict[str, float]]]
) -> list[str]:
    ours, theirs = ([each[key] for each in found[side]] for side in ("ours", "theirs"))
    digits = 0 if "MiB" in name else 2
    before = Spread(tuple(theirs)).text(digits) if theirs else ""
    compared = ratio(ours, theirs).text(2) if theirs else ""
    return [f"{model.name}, {size:.0f} MiB", name, Spread(tuple(ours)).text(digits), before, compared]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-m", "--model", action="append", help="a path or name, repeatable")
    parser.add_argument("--against", type=Path, help="another checkout of chatterm, in turn with this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reply", action="store_true", help="a long prompt and a reply too")
    options = parser.parse_args()
    models = [locate(name) for name in options.model or ["default"]]
    print(measure(models, options.against, options.rounds, reply=options.reply))


if __name__ == "__main__":
    main()
