"""`chatterm doctor`: what is installed, where things are, and what works."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

import click
from rich.cells import cell_len

from chatterm import __version__, inert, paths
from chatterm.cli import common, words
from chatterm.cli.network import network
from chatterm.cli.translated import Command
from chatterm.engine.messages import Device, Examined
from chatterm.errors import UserError
from chatterm.language import _, speak
from chatterm.settings import load_settings, settings_file

PACKAGES = ("torch", "textual", "tokenizers", "safetensors", "huggingface-hub", "gguf", "msgspec", "rich")


@click.command("doctor", cls=Command)
@click.option("--measure", is_flag=True, help="Measure again how fast this machine is.")
@common.json_option
def command(as_json: bool, measure: bool) -> None:
    """Show versions, devices, folders, and what works.

    Nothing is sent anywhere: chatterm reaches the network only to download a model. Whom it would ask then,
    and whether it has a token for the hub, stands under "network".
    """
    if as_json:
        speak("en")  # what programs read does not change with the language
    report = common.run(_examine(measure))
    if as_json:
        common.print_json(report)
        return
    for section, facts in report.items():
        click.echo(section)
        for name, value in facts.items():
            shown = inert.line(name)
            click.echo(f"  {shown}{' ' * (18 - cell_len(shown))} {inert.line(str(value))}")


async def _examine(measure: bool) -> dict[str, dict[str, Any]]:
    async with common.engine() as engine:
        examined = await engine.examine(measure=measure)
        try:
            default: str = await engine.fetch(load_settings().model, download=False)
        except UserError as error:
            default = error.sentence
    return {
        "chatterm": {
            _("version"): __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            _("system"): f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        _("packages"): {name: _version(name) for name in PACKAGES},
        _("engine"): _engine(examined),
        _("measured"): {_(name): words.sentence(figure) for name, figure in examined.measured.items()},
        _("folders"): {
            _("settings"): str(settings_file()),
            _("conversations"): str(paths.data_folder()),
            _("models of the clone"): str(paths.clone_models_folder() or _("not run from a clone")),
            _("your models"): str(paths.user_models_folder()),
            _("cache"): str(paths.cache_folder()),
            _("logs"): str(paths.log_folder()),
        },
        _("model"): {_("at start"): default},
        _("terminal"): {
            "TERM": os.environ.get("TERM", _("not set")),
            _("colours"): os.environ.get("COLORTERM", _("not announced")),
            "NO_COLOR": _("set") if os.environ.get("NO_COLOR") else _("not set"),
            _("encoding"): sys.stdout.encoding,
        },
        _("network"): network(),
    }


def _engine(examined: Examined) -> dict[str, Any]:
    devices = {_("device {name}").format(name=device.name): _device(device) for device in examined.devices}
    return {
        "torch": examined.torch,
        _("threads"): examined.threads,
        _("instructions"): examined.instructions,
        _("memory free"): _("{done} of {total}").format(
            done=f"{examined.available_bytes / 1e9:.1f} GB", total=f"{examined.total_bytes / 1e9:.1f} GB"
        ),
    } | devices


def _device(device: Device) -> str:
    memory = f", {device.total_bytes / 1e9:.0f} GB" if device.total_bytes else ""
    return words.sentence(device.description) + memory


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _("not installed")
