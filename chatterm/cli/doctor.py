"""`chatterm doctor`: what is installed, where things are, and what works."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

import click

from chatterm import __version__, inert, paths
from chatterm.cli import common
from chatterm.cli.network import network
from chatterm.engine.messages import Device, Examined
from chatterm.errors import UserError
from chatterm.settings import load_settings, settings_file

PACKAGES = ("torch", "textual", "tokenizers", "safetensors", "huggingface-hub", "gguf", "msgspec", "rich")


@click.command("doctor")
@click.option("--measure", is_flag=True, help="Measure again how fast this machine is.")
@common.json_option
def command(as_json: bool, measure: bool) -> None:
    """Show versions, devices, folders, and what works.

    Nothing is sent anywhere: chatterm reaches the network only to download a model. Whom it would ask then,
    and whether it has a token for the hub, stands under "network".
    """
    report = common.run(_examine(measure))
    if as_json:
        common.print_json(report)
        return
    for section, facts in report.items():
        click.echo(section)
        for name, value in facts.items():
            click.echo(f"  {inert.line(name):<18} {inert.line(str(value))}")


async def _examine(measure: bool) -> dict[str, dict[str, Any]]:
    async with common.engine() as engine:
        examined = await engine.examine(measure=measure)
        try:
            default: str = await engine.fetch(load_settings().model, download=False)
        except UserError as error:
            default = error.sentence
    return {
        "chatterm": {
            "version": __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "packages": {name: _version(name) for name in PACKAGES},
        "engine": _engine(examined),
        "measured": dict(examined.measured),
        "folders": {
            "settings": str(settings_file()),
            "conversations": str(paths.data_folder()),
            "models of the clone": str(paths.clone_models_folder() or "not run from a clone"),
            "your models": str(paths.user_models_folder()),
            "cache": str(paths.cache_folder()),
            "logs": str(paths.log_folder()),
        },
        "model": {"at start": default},
        "terminal": {
            "TERM": os.environ.get("TERM", "not set"),
            "colours": os.environ.get("COLORTERM", "not announced"),
            "NO_COLOR": "set" if os.environ.get("NO_COLOR") else "not set",
            "encoding": sys.stdout.encoding,
        },
        "network": network(),
    }


def _engine(examined: Examined) -> dict[str, Any]:
    devices = {f"device {device.name}": _device(device) for device in examined.devices}
    return {
        "torch": examined.torch,
        "threads": examined.threads,
        "instructions": examined.instructions,
        "memory free": f"{examined.available_bytes / 1e9:.1f} GB of {examined.total_bytes / 1e9:.1f} GB",
    } | devices


def _device(device: Device) -> str:
    memory = f", {device.total_bytes / 1e9:.0f} GB" if device.total_bytes else ""
    return f"{device.description}{memory}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
