"""Where and how to compute: pure decisions from what was asked, what is needed and what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chatterm.engine.messages import LoadOptions
from chatterm.errors import UserError

_BITS_PER_WEIGHT = {"int8": 8.5, "int4": 5.0}
MUCH_MORE = 1.5
"""How many times the bytes a device in the same memory may read before the processor is the faster one."""
CACHE_SHARE = 0.25
"""Share of the free memory that the key/value cache may take when nobody asked for a size."""

MINIMUM_CONTEXT = 512
_DENSE = ("float32", "float16", "bfloat16", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Place:
    """A device as the decisions see it."""

    name: str  # "cpu", "cuda:0", "mps"
    free_bytes: int
    bfloat16: bool = True
    shares_memory: bool = False  # with the processor, so that both read it about as fast


@dataclass(frozen=True)
class Needs:
    """What a checkpoint takes."""

    name: str
    quantisation: str  # as stored
    parameters: int
    packed_bytes: int  # of the weights where they may stay as they are stored
    other_bytes: int  # runtime, working space, the smallest useful context
    stays_packed: bool  # on a CPU
    context_bytes: int = 0  # of `other_bytes`: keys and values of a context that the user asked for


@dataclass(frozen=True)
class Plan:
    """How to load."""

    device: str
    dtype: str  # "float32" or "bfloat16"
    exact: bool
    quantise: Literal["none", "int8", "int4"]
    notices: tuple[str, ...]


def plan(options: LoadOptions, needs: Needs, places: Sequence[Place]) -> Plan:
    """Decide. `places` are in order of speed, the fastest first, the CPU among them.

    Raises:
        UserError: there is no such device, it does not fit, or what is quantised already shall be quantised.
    """
    if options.quantise != "none" and not is_dense(needs.quantisation):
        raise UserError(
            f"{needs.name} is quantised already ({needs.quantisation}); load it without --quant, or choose a "
            "checkpoint with dense weights."
        )
    place = _place(options, needs, places)
    wanted = weight_bytes(options, needs, place) + needs.other_bytes
    if wanted > place.free_bytes:
        raise UserError(_too_large(options, needs, place, places, wanted))
    notices: tuple[str, ...] = ()
    if options.quantise != "none":
        notices = (
            f"The weights were rounded to {options.quantise} while they were loaded; the probabilities are "
            "those of the rounded model.",
        )
    exact = options.exact or (place.name != "cpu" and not place.bfloat16)
    dtype = "float32" if place.name == "cpu" or exact else "bfloat16"
    return Plan(place.name, dtype, exact, options.quantise, notices)


def is_dense(quantisation: str) -> bool:
    """Whether a checkpoint's weights are stored as plain numbers."""
    return any(quantisation.lower() == name.lower() for name in _DENSE)


def weight_bytes(options: LoadOptions, needs: Needs, place: Place) -> int:
    """What the weights take on a device."""
    if place.name != "cpu":
        return needs.parameters * (4 if options.exact or not place.bfloat16 else 2)
    if options.quantise != "none":
        return int(needs.parameters * _BITS_PER_WEIGHT[options.quantise] / 8)
    return needs.packed_bytes if needs.stays_packed else needs.parameters * 4


def _place(options: LoadOptions, needs: Needs, places: Sequence[Place]) -> Place:
    cpu = next(place for place in places if place.name == "cpu")
    if options.device == "auto":
        if options.quantise != "none":
            return cpu  # the packed weights are the CPU operator's
        fitting = [
            place
            for place in places
            if weight_bytes(options, needs, place) + needs.other_bytes <= place.free_bytes
            and not _reads_more(options, needs, place, cpu)
        ]
        return fitting[0] if fitting else cpu
    name = "cuda:0" if options.device == "cuda" else options.device
    chosen = next((place for place in places if place.name == name), None)
    if chosen is None:
        there = ", ".join(place.name for place in places)
        raise UserError(
            f"There is no device {options.device!r} here, only {there}; use one of these, or auto for "
            "the fastest."
        )
    if options.quantise != "none" and chosen.name != "cpu":
        raise UserError("--quant is for the CPU; leave it out on a GPU, where weights are bfloat16.")
    return chosen


def _reads_more(options: LoadOptions, needs: Needs, place: Place, cpu: Place) -> bool:
    """Whether a device reads the processor's memory, and more of it for each token.

    Steps are bound by reading the weights; a GPU beside the processor holds them unpacked.
    """
    if not place.shares_memory:
        return False
    return weight_bytes(options, needs, place) > MUCH_MORE * weight_bytes(options, needs, cpu)


def _too_large(options: LoadOptions, needs: Needs, place: Place, places: Sequence[Place], wanted: int) -> str:
    """One sentence with the figures and what would fit."""
    ways = []
    if is_dense(needs.quantisation) and place.name == "cpu":
        for kind, bits in _BITS_PER_WEIGHT.items():
            size = int(needs.parameters * bits / 8) + needs.other_bytes
            if size <= place.free_bytes and kind != options.quantise:
                ways.append(f"--quant {kind} ({_gigabytes(size)})")
    for other in places:
        size = weight_bytes(options, needs, other) + needs.other_bytes
        if other.name != place.name and size <= other.free_bytes:
            ways.append(f"--device {other.name} ({_gigabytes(size)})")
    if needs.context_bytes and wanted - needs.context_bytes < place.free_bytes:
        ways.append("a smaller --context")
    advice = "what would fit: " + ", ".join(ways) if ways else "choose a smaller checkpoint or quantisation"
    return (
        f"{needs.name} needs about {_gigabytes(wanted)} on {place.name} and {_gigabytes(place.free_bytes)} "
        f"are free; {advice}."
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def computation(plan_: Plan, *, prompts: str, cache_dtype: str) -> str:
    """In a few words how it is computed: "float32", or what is not."""
    parts: list[str] = [plan_.quantise] if plan_.quantise != "none" else []
    parts.append(plan_.dtype)
    if prompts != "float32":
        parts.append(f"{prompts} prompts")
    if cache_dtype != plan_.dtype:
        parts.append(f"{cache_dtype} cache")
    return " · ".join(parts)


# --- the context window -----------------------------------------------------------------------------------


def check_context(asked: int | None, made_for: int, *, fixed: bool) -> None:
    """See whether a context can be had at all; `fixed` where there are no positions beyond `made_for`.

    Raises:
        UserError: it cannot.
    """
    if asked is None:
        return
    if asked < 1:
        raise UserError(f"A context of {asked} tokens is not possible; ask for 1 or more.")
    if fixed and asked > made_for:
        raise UserError(
            f"A context of {asked} tokens is not possible: this checkpoint has learned positions for "
            f"{made_for}; set the context to at most that."
        )


def context_size(asked: int | None, made_for: int, token_bytes: int, free: int) -> int:
    """Tokens to hold: what was asked for, else what the checkpoint was made for, as far as memory goes.

    Args:
        asked: by the user.
        made_for: tokens of the checkpoint.
        token_bytes: keys and values of one token.
        free: bytes that the device has left.

    Raises:
        UserError: more was asked for than there is memory.
    """
    affordable = int(free * CACHE_SHARE) // token_bytes
    if asked is None:
        return max(min(made_for, MINIMUM_CONTEXT), min(made_for, affordable))
    if asked * token_bytes > free:
        raise UserError(
            f"A context of {asked} tokens takes {asked * token_bytes >> 20} MiB, more than is free; "
            f"{affordable} tokens would fit well."
        )
    return asked


def of_context(asked: int | None, made_for: int) -> tuple[str, ...]:
    """What the user should know about the context that was asked for."""
    if asked is None or asked <= made_for:
        return ()
    return (
        f"The context of {asked} tokens is longer than the {made_for} that this checkpoint was made for; "
        "text beyond that is likely to be misunderstood.",
    )
