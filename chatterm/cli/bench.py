"""`chatterm bench`: how fast a model runs on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from chatterm import inert
from chatterm.cli import common
from chatterm.cli.loading import load_options, loading_options
from chatterm.cli.translated import Command
from chatterm.engine.messages import Bench, Benched, Examined, LoadOptions
from chatterm.language import _, several
from chatterm.records.generation import ModelInfo

LOADS = 3
"""Engines that are started to measure loading; the last one is measured further."""
USUAL_PROMPT = 512
MIB = 1 << 20

QUICK = Bench(
    request=0,
    prefill=(8, 16, 32),
    contexts=(0, 8, 16),
    decoded=4,
    repeats=2,
    streamed_bytes=1 << 24,
)
"""A measurement that says nothing about speed, to see that measuring works."""


@click.command("bench", cls=Command)
@common.model_option
@loading_options()
@click.option("--repeats", type=click.IntRange(1, 100), default=5, show_default=True, help="Of each figure.")
@click.option("--quick", is_flag=True, hidden=True)
@common.json_option
def command(model: str | None, repeats: int, quick: bool, as_json: bool) -> None:
    """Measure how fast a model loads, reads and writes here.

    Figures are medians of the repeats, after a first round that is not counted. Memory bandwidth is that of a
    streaming read by the same number of threads: no decoding can be faster than all weights are read.
    """
    plan = QUICK if quick else Bench(request=0, repeats=repeats)
    info, examined, loads, benched = common.run(_measure(model, load_options(), plan))
    document = report(info, examined, loads, benched)
    if as_json:
        common.print_json(document)
    else:
        _print(document)


async def _measure(
    model: str | None, options: LoadOptions, plan: Bench
) -> tuple[ModelInfo, Examined, list[tuple[float, float]], Benched]:
    async with common.engine() as scout:
        path = await common.find(scout, model)
    loads: list[tuple[float, float]] = []
    while True:
        began = time.perf_counter()
        async with common.engine() as engine:
            examined = await engine.examine()  # imports what loading needs as well
            runtime = time.perf_counter() - began
            with common.progress_line() as show:
                info = await engine.load(path, options, show)
                loads.append((time.perf_counter() - began, runtime))
                if len(loads) == LOADS:
                    return info, examined, loads, await engine.bench(plan, show)


def report(
    info: ModelInfo, examined: Examined, loads: Sequence[tuple[float, float]], benched: Benched
) -> dict[str, Any]:
    """The figures as a JSON document. `loads` are (seconds to load, of these to start the runtime)."""
    prefill = [{"tokens": point.length, **rate(point.rates)} for point in benched.prefill]
    decode = [{"context": point.length, **rate(point.rates)} for point in benched.decode]
    from_empty = next((point["tokens_per_s"] for point in decode if point["context"] == 0), None)
    usual = next((point["tokens_per_s"] for point in prefill if point["tokens"] == USUAL_PROMPT), None)
    streaming = max(benched.streaming)
    return {
        "model": info.name,
        "path": info.path,
        "quantisation": info.quantisation,
        "computation": info.computation,
        "device": info.device,
        "way": benched.way,
        "threads": benched.threads,
        "machine": {
            "processor": examined.devices[0].description,
            "instructions": examined.instructions,
            "memory_bytes": examined.total_bytes,
            "torch": examined.torch,
        },
        "load_s": round(statistics.median(load for load, _ in loads), 3),
        "runtime_s": round(statistics.median(runtime for _, runtime in loads), 3),
        "prefill_tokens_per_s": usual,
        "decode_tokens_per_s": from_empty,
        "reply_tokens_per_s": rate(benched.reply)["tokens_per_s"],
        "bandwidth_fraction": (
            None if from_empty is None else round(benched.step_bytes * from_empty / streaming, 4)
        ),
        "bytes_per_token": benched.step_bytes,
        "streaming_bytes_per_s": round(streaming),
        "peak_rss_mib": round(benched.peak_bytes / MIB, 1),
        "prefill": prefill,
        "decode": decode,
    }


def rate(rates: Sequence[float]) -> dict[str, float]:
    """The median of some rates and between which they lie."""
    return {
        "tokens_per_s": round(statistics.median(rates), 2),
        "lowest": round(min(rates), 2),
        "highest": round(max(rates), 2),
    }


def _print(document: dict[str, Any]) -> None:
    console = Console(highlight=False)
    machine = document["machine"]
    console.print(RichText(inert.line(document["model"]), style="bold"), end="")
    console.print(
        RichText(
            f"  {document['quantisation']} · "
            + _("computed in {computation}").format(computation=document["computation"])
            + f" · {document['device']} · "
            + several("{count} thread", "{count} threads", document["threads"]).format(
                count=document["threads"]
            )
        )
    )
    console.print(RichText(f"{machine['processor']} · {machine['instructions']}", style="dim"))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("", _("tokens/s"), _("from … to"), ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for kind, say in (("prefill", _reading), ("decode", _writing)):
        fastest = max((point["tokens_per_s"] for point in document[kind]), default=0.0)
        for point in document[kind]:
            share = point["tokens_per_s"] / fastest
            table.add_row(
                say(point),
                f"{point['tokens_per_s']:,.1f}",
                f"{point['lowest']:,.1f} … {point['highest']:,.1f}",
                RichText("█" * max(1, round(share * 24)), style="cyan"),
            )
    console.print(table)
    console.print()
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in _facts(document):
        facts.add_row(name, RichText(value))
    console.print(facts)


def _reading(point: dict[str, Any]) -> str:
    return _("read {count} tokens").format(count=point["tokens"])


def _writing(point: dict[str, Any]) -> str:
    if not point["context"]:
        return _("write from the start")
    return _("write after {count}").format(count=point["context"])


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    fraction = document["bandwidth_fraction"]
    bandwidth = f"{document['streaming_bytes_per_s'] / 1e9:.1f} GB/s"
    if fraction is not None:
        bandwidth = _("{share} of {rate}").format(share=f"{fraction:.0%}", rate=bandwidth)
    return [
        (
            _("a whole reply"),
            _("{rate} tokens/s, with sampler and candidates").format(
                rate=f"{document['reply_tokens_per_s']:,.1f}"
            ),
        ),
        (
            _("loading"),
            _("{load} s, of which the runtime {runtime} s").format(
                load=f"{document['load_s']:.2f}", runtime=f"{document['runtime_s']:.2f}"
            ),
        ),
        (
            _("bandwidth"),
            _("{rate}; a token reads {size} MB of weights").format(
                rate=bandwidth, size=f"{document['bytes_per_token'] / 1e6:.0f}"
            ),
        ),
        (_("memory"), _("{size} MiB at most").format(size=f"{document['peak_rss_mib']:,.0f}")),
        (_("a step runs as"), inert.line(document["way"])),
    ]
