"""What one checkpoint is, from its headers: for `chatterm models show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from chatterm.checkpoint.architecture import Architecture, LayerOptions, Rotary
from chatterm.checkpoint.discover import found_of
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.checkpoint.published import left_open
from chatterm.checkpoint.rules import limits_in_words, read_rules, rules_in_words
from chatterm.checkpoint.template import load_template
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.errors import UserError
from chatterm.records.supply import FoundCheckpoint

Details = dict[str, str | int | float | bool | None]


def describe(path: Path, packed: bool = False) -> tuple[FoundCheckpoint, Details]:
    """A checkpoint, and further facts about it in the order in which to show them.

    Raises:
        UserError: it cannot be loaded; the sentence says why.
    """
    checkpoint = open_checkpoint(path)
    found = found_of(checkpoint, checkpoint.name, "path", packed)
    details = _details(checkpoint.architecture) | _texts(checkpoint) | _generation(checkpoint)
    details["notices"] = "\n".join(checkpoint.notices) or None
    if checkpoint.gguf is not None:
        details["not_in_the_file"] = left_open(checkpoint.gguf, checkpoint.architecture)
    return found, details


def _details(shape: Architecture) -> Details:
    return {
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "head_size": shape.head_size,
        "ffn_width": shape.ffn_width,
        "vocabulary": shape.vocabulary,
        "norm": shape.norm,
        "activation": shape.activation + (", gated" if shape.gated else ""),
        "context": _context(shape),
        "positions": "learned" if shape.learned_positions else _positions(shape.layer_options),
        "window": _windows(shape.layer_options),
        "tied": shape.tied,
        "cache_bytes_per_token": shape.cache_bytes(1),
    }


def _generation(checkpoint: Checkpoint) -> Details:
    rules, notices = read_rules(checkpoint.generation_defaults, checkpoint.architecture.vocabulary)
    limits = limits_in_words(checkpoint.generation_defaults)
    return {
        "rules": rules_in_words(rules),
        **({"limits": limits} if limits else {}),
        **({"not_used": " ".join(notices)} if notices else {}),
    }


def _context(shape: Architecture) -> str:
    if shape.extended_from is None:
        return f"{shape.context} tokens"
    return f"{shape.context} tokens: the {shape.extended_from} that are stated, extended by rotary scaling"


def _texts(checkpoint: Checkpoint) -> Details:
    """How text becomes tokens, where replies end, and what is odd about either."""
    try:
        tokenizer = load_tokenizer(checkpoint)
        template = load_template(checkpoint, tokenizer)
    except UserError as error:
        return {"notes": str(error)}
    return {
        "tokenizer": tokenizer.source,
        "begins_with": " ".join(map(tokenizer.piece, tokenizer.begins)) or None,
        "ends_with": " ".join(map(tokenizer.piece, sorted(tokenizer.end_ids))) or None,
        "chat_template": template.source if template.is_chat else None,
        "notes": " ".join((*tokenizer.notices, *template.notices)) or None,
    }


def _positions(layers: Iterable[LayerOptions]) -> str:
    return _counted(_rotary(layer.rotary) for layer in layers)


def _rotary(rotary: Rotary | None) -> str:
    if rotary is None:
        return "none"
    scaling = (
        "" if rotary.scaling is None else f", {type(rotary.scaling).__name__.removesuffix('Scaling')} scaling"
    )
    return f"rotary over {rotary.dimensions}, base {rotary.base:g}{scaling}"


def _windows(layers: Iterable[LayerOptions]) -> str | None:
    layers = tuple(layers)
    if all(layer.window is None for layer in layers):
        return None
    return _counted("all" if layer.window is None else f"{layer.window} tokens" for layer in layers)


def _counted(values: Iterable[str]) -> str:
    """One value if all blocks share it, else each with the number of blocks that have it."""
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} layers)" for value, count in counts.most_common())
