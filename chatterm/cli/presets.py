"""`chatterm presets`: system prompts with sampling values, under names."""

from __future__ import annotations

import math
from typing import Any

import click

from chatterm import inert
from chatterm.cli import common, complete
from chatterm.cli.translated import Group
from chatterm.language import _
from chatterm.presets import Preset, delete_preset, load_preset, load_presets, rename_preset, save_preset
from chatterm.sampling import SamplingParameters


@click.group("presets", cls=Group)
def command() -> None:
    """List, show, save and delete presets.

    A preset is a system prompt with sampling values under a name: `chatterm ask --preset NAME`. Each of yours
    is a small TOML file in the folder of the settings.

    \b
    Examples:
      chatterm presets list
      chatterm presets save poet -s "Answer in rhymes." -t 1.1
      chatterm ask --preset poet "Why is the sea salty?"
    """


@command.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """List the presets.

    \b
    Examples:
      chatterm presets list
      chatterm presets list --json | jq '.[].name'
    """
    loaded = load_presets()
    for problem in loaded.problems:
        click.echo(f"chatterm: {inert.line(problem)}", err=True)
    if as_json:
        common.print_json([_document(preset) for preset in loaded.presets])
        return
    width = max(len(preset.name) for preset in loaded.presets)
    for preset in loaded.presets:
        described = inert.line(_description(preset) or (preset.system_prompt or "")[:50])
        yours = "" if preset.is_builtin else "  " + _("(yours)")
        click.echo(f"{preset.name:<{width}}  {described}{yours}")


@command.command("show")
@common.json_option
@click.argument("name", shell_complete=complete.presets)
def show(name: str, as_json: bool) -> None:
    """Show what a preset sets.

    \b
    Examples:
      chatterm presets show creative
    """
    preset = load_preset(name)
    if as_json:
        common.print_json(_document(preset))
        return
    click.echo(" ".join((preset.name, _("(came with chatterm)"))) if preset.is_builtin else preset.name)
    if preset.description:
        click.echo(inert.line(_description(preset)))
    for field, value in preset.sampling.items():
        click.echo(f"  {inert.line(field)} = {inert.line(str(value))}")
    match preset.system_prompt:
        case None:
            click.echo("  " + _("the system prompt stays as it is"))
        case "":
            click.echo("  " + _("no system prompt"))
        case prompt:
            click.echo("  " + _("system prompt:"))
            for line in inert.block(prompt).split("\n"):
                click.echo(f"    {line}")


@command.command("save")
@click.option("-s", "--system", help='The system prompt; "" for none. Without it, it stays as it is.')
@click.option("-d", "--description", default="", help="One line about it.")
@click.option("--replace", is_flag=True, help="In place of one of yours of this name.")
@common.sampling_options
@click.argument("name")
def save(name: str, system: str | None, description: str, replace: bool, **options: Any) -> None:
    """Save a preset of your own.

    It sets what you give here and leaves everything else as it is. One of the same name as one that came
    with chatterm takes its place until you delete it.

    \b
    Examples:
      chatterm presets save poet -s "Answer in rhymes." -t 1.1
      chatterm presets save poet --replace -t 0.9 --min-p 0.05
      chatterm presets save shy --set 'logit_bias={"2": -5}'
    """
    sampling = common.given_values(options)
    common.with_options(SamplingParameters(), options)
    preset = Preset(name=name, description=description, system_prompt=system, sampling=sampling)
    click.echo(_("Saved {file}.").format(file=inert.line(str(save_preset(preset, replace=replace)))))


@command.command("rename")
@click.argument("old", shell_complete=complete.presets)
@click.argument("new")
def rename(old: str, new: str) -> None:
    """Give a preset of yours another name.

    \b
    Examples:
      chatterm presets rename poet bard
    """
    click.echo(_("It is called {name} now.").format(name=rename_preset(old, new).name))


@command.command("delete")
@click.argument("name", shell_complete=complete.presets)
def delete(name: str) -> None:
    """Delete a preset of yours.

    One that came with chatterm and that yours had replaced shows again.

    \b
    Examples:
      chatterm presets delete poet
    """
    click.echo(_("Deleted {name}.").format(name=inert.line(delete_preset(name).name)))


def _description(preset: Preset) -> str:
    """Of one that came with chatterm in the language spoken."""
    return _(preset.description) if preset.is_builtin else preset.description


def _document(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "description": preset.description,
        "system_prompt": preset.system_prompt,
        "sampling": _finite(preset.sampling),
        "builtin": preset.is_builtin,
    }


def _finite(value: Any) -> Any:
    """A value as JSON can hold it: infinite numbers as text."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
