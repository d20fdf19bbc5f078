"""How to load the model, as options of several commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chatterm.language import mark
from chatterm.sampling import MOST

if TYPE_CHECKING:
    from chatterm.engine.messages import LoadOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_META = "chatterm.loading"

_EXACT = {
    None: mark("Everything in float32, or this machine's faster way (default: the setting, fast)."),
    True: mark("Everything in float32, or this machine's faster way (default: exact)."),
    False: mark("Everything in float32, or this machine's faster way (default: fast)."),
}
"""Help of --exact, by what holds without it."""


def loading_options(*, exact: bool | None = None) -> Callable[[_Command], _Command]:
    """The options; they are no arguments of the command, `load_options` and `given` have what they say.

    Args:
        exact: what holds without --exact and --fast; None = the setting.
    """

    def keep(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
        assert parameter.name is not None
        values = ctx.meta.setdefault(_META, {})
        if value is not None:
            values[parameter.name] = value
        elif parameter.name == "exact" and exact is not None:
            values.setdefault("exact", exact)

    shared: dict[str, Any] = {"callback": keep, "expose_value": False}
    options = [
        click.option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.", **shared),
        click.option("--threads", type=click.IntRange(1, 64), help="Of the processor.", **shared),
        click.option(
            "--exact/--fast",
            default=None,
            help=_EXACT[exact],
            **shared,
        ),
        click.option(
            "--quant",
            "quantise",
            type=click.Choice(["none", "int8", "int4"]),
            help="Round dense weights to so few bits while loading.",
            **shared,
        ),
        click.option(
            "--context",
            metavar="N",
            type=click.IntRange(0, MOST),
            help="Tokens of the context window (default: what the model was made for, as memory allows).",
            **shared,
        ),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def given() -> dict[str, Any]:
    """What the running command's options say, by the names of the settings."""
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(_META, {}))


def load_options() -> LoadOptions:
    """What the running command's options and the settings say.

    Raises:
        UserError: the settings cannot be used.
    """
    from chatterm.engine.messages import LoadOptions
    from chatterm.settings import load_settings

    settings = load_settings(**given())
    return LoadOptions(
        device=settings.device,
        threads=settings.threads or None,
        exact=settings.exact,
        quantise=settings.quantise,
        context=settings.context or None,
    )
