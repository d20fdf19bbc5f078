"""What must hold whatever the checkpoint: identities between the numbers that the views show.

Each is computed on the loaded checkpoint and a short text, in two ways that must agree; the error is how far
they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.decode.sampling import SampledDistribution, Sampler
from chatterm.glass.contributions import contributions
from chatterm.glass.edits import edits_of
from chatterm.model.block import Block
from chatterm.model.decoder import Decoder
from chatterm.model.taps import BLOCK_POINTS, OUTER_POINTS, Edit, Taps
from chatterm.records.inspection import Identity, ScaleBlock, ScaleHead
from chatterm.sampling import SamplingParameters

TEXT = "When Mary and John went to the store, John gave a drink to Mary, and Mary said: 苹果很好吃。"

EXACT = 1e-4
"""Float32: differences under 5e-5 are rounding, over 1e-4 suspicious."""

ROUGH = 5e-2
"""Between two ways of computing of which one rounds to 16 bits."""

SEPARATION = 40.0
"""Nats by which the best token leads at the temperature that stands for the limit 0: e^-40 is left."""


@dataclass
class _Reading:
    """The text read in one pass with everything tapped; what several identities look at."""

    decoder: Decoder
    ids: list[int]

    @cached_property
    def taps(self) -> Taps:
        taps = Taps(read=(*BLOCK_POINTS, *OUTER_POINTS))
        self.forward(taps)
        return taps

    @cached_property
    def plain(self) -> Tensor:
        """Logits `(T, vocabulary)` without any taps."""
        return self.forward()

    @property
    def logits(self) -> Tensor:
        """`(T, vocabulary)`."""
        return self.taps.values["logits", None]

    @property
    def layers(self) -> range:
        return range(self.decoder.architecture.layers)

    def forward(self, taps: Taps | None = None, ids: Sequence[int] | None = None) -> Tensor:
        """Logits `(T, vocabulary)` of one pass over a fresh cache."""
        tokens = torch.tensor(ids or self.ids, device=self.decoder.device)
        with torch.inference_mode():
            cache = self.decoder.new_cache(len(tokens))
            logits: Tensor = self.decoder(tokens, cache, last_only=False, taps=taps)
        return logits

    def edited(self, edits: Sequence[Edit], read: Sequence[tuple[str, int]] = ()) -> tuple[Tensor, Taps]:
        taps = Taps(read=read, edits=edits)
        return self.forward(taps), taps


def identities(decoder: Decoder, ids: Sequence[int], sampler: Sampler, *, exact: bool) -> Iterator[Identity]:
    """All of them, one after the other.

    Args:
        decoder: the model as it is.
        ids: a text of some twenty tokens, at least 4; it is cut to the model's context.
        sampler: over the same vocabulary, fresh.
        exact: whether all ways of computing are float32.
    """
    reading = _Reading(decoder, list(ids)[: decoder.context])
    within = EXACT if decoder.dtype == torch.float32 else ROUGH
    across = EXACT if exact else ROUGH
    rough = "" if exact else " (one way in 16 bits)"
    with torch.inference_mode():
        yield Identity("the lens after the last block is the logits", _lens(reading), within, "logit")
        yield Identity("attention rows sum to 1", _row_sums(reading), within, "probability")
        yield Identity(
            "attention sees neither the future nor what left the window", _hidden(reading), 0.0, "probability"
        )
        yield Identity(
            "a block's input, attention and feed-forward sum to its output",
            _sums(reading),
            within,
            "relative",
        )
        yield Identity("the contributions sum to the logit", _shares(reading), within, "logit")
        yield Identity("an edit with scale 1 changes nothing", _scale_one(reading), within, "logit")
        yield Identity(
            f"a head switched off is its slice of the output matrix zeroed{rough}",
            _zeroed(reading),
            across,
            "logit",
        )
        yield Identity(
            "a block switched off passes on what it was given", _skipped(reading), within, "relative"
        )
        yield Identity("later text changes nothing earlier", _causality(reading), within, "logit")
        yield Identity(
            f"token by token gives the same as all at once{rough}", _cached(reading), across, "nats"
        )
        yield Identity(
            f"a replayed step gives the same as when it was read{rough}", _replayed(reading), across, "nats"
        )
        yield Identity(
            "sampled probabilities sum to 1, and kept and removed mass too",
            _mass(reading, sampler),
            EXACT,
            "probability",
        )
        yield Identity(
            "temperature towards 0 takes the most probable token",
            _cold(reading, sampler),
            EXACT,
            "probability",
        )
        yield Identity(
            "log-odds go with one over the temperature", _log_odds(reading, sampler), EXACT, "relative"
        )


# --- inside one pass --------------------------------------------------------------------------------------


def _lens(reading: _Reading) -> float:
    last = reading.taps.values["output", reading.layers[-1]]
    return _largest(reading.decoder.unembed(last) - reading.logits)


def _row_sums(reading: _Reading) -> float:
    values = reading.taps.values
    return max(_largest(values["attention_weights", layer].sum(-1) - 1) for layer in reading.layers)


def _hidden(reading: _Reading) -> float:
    """The largest weight on a position that may not be seen."""
    query = torch.arange(len(reading.ids), device=reading.decoder.device)[:, None]
    key = query.T
    worst = 0.0
    for layer, options in enumerate(reading.decoder.architecture.layer_options):
        hidden = key > query
        if options.window is not None:
            hidden = hidden | (key <= query - options.window)
        worst = max(worst, _largest(reading.taps.values["attention_weights", layer][:, hidden]))
    return worst


def _sums(reading: _Reading) -> float:
    values = reading.taps.values
    worst = 0.0
    for layer in reading.layers:
        parts = [values[point, layer].double() for point in ("input", "attention_output", "ffn_output")]
        worst = max(worst, _relative(parts[0] + parts[1] + parts[2], values["output", layer]))
    return worst


def _shares(reading: _Reading) -> float:
    """At the last token, of the best token's logit and of its difference to the first token's."""
    context = Context(reading.decoder, len(reading.ids), edits=())
    context.append(reading.ids)
    worst = 0.0
    for against in (None, reading.ids[0]):
        found = contributions(context, len(reading.ids) - 1, None, against)
        whole = found.embedding + float(found.heads.sum()) + float(found.mlps.sum()) + found.bias
        worst = max(worst, abs(whole - found.logit))
    return worst


# --- edits ------------------------------------------------------------------------------------------------


def _scale_one(reading: _Reading) -> float:
    points = [point for point in BLOCK_POINTS if point != "attention_weights"]
    edits = [Edit(point, layer) for point in points for layer in reading.layers]
    edits += [Edit("output", layer, since="input") for layer in reading.layers]
    return _largest(reading.edited(edits)[0] - reading.forward(Taps()))


def _zeroed(reading: _Reading) -> float:
    """One head of the middle block: by an edit, and by arithmetic with the matrix itself."""
    decoder = reading.decoder
    layer = reading.layers[len(reading.layers) // 2]
    head = decoder.architecture.heads // 2
    by_edit, _ = reading.edited(edits_of([ScaleHead(layer, head)], decoder, lambda text: ()))
    block = cast(Block, decoder.blocks[layer])
    projection = block.attention.output
    matrix = projection.dense().clone()
    size = decoder.architecture.head_size
    matrix[:, head * size : (head + 1) * size] = 0
    mixed = reading.taps.values["heads", layer]
    written = torch.nn.functional.linear(
        mixed.reshape(len(reading.ids), -1), matrix.to(mixed), projection.bias
    )
    added = block.added(written, block.attention_output_norm)
    by_matrix, _ = reading.edited([Edit("attention_output", layer, replacement=added)])
    return _largest(by_edit - by_matrix)


def _skipped(reading: _Reading) -> float:
    layer = reading.layers[len(reading.layers) // 2]
    edits = edits_of([ScaleBlock(layer)], reading.decoder, lambda text: ())
    _, taps = reading.edited(edits, read=[("input", layer), ("output", layer)])
    return _relative(taps.values["output", layer], taps.values["input", layer])


# --- the text and its cache -------------------------------------------------------------------------------


def _causality(reading: _Reading) -> float:
    half = len(reading.ids) // 2
    other = reading.ids[:half] + reading.ids[half:][::-1]
    return _largest((reading.forward(ids=other) - reading.plain)[:half])


def _cached(reading: _Reading) -> float:
    """Over all tokens of the text, read one by one."""
    cache = reading.decoder.new_cache(len(reading.ids))
    rows = [reading.decoder(torch.tensor([token]), cache) for token in reading.ids]
    return _probable_difference(torch.stack(rows), reading.plain)


def _replayed(reading: _Reading) -> float:
    context = Context(reading.decoder, len(reading.ids))
    for _ in context.read(reading.ids):
        pass
    rows = [context.logits_after(count) for count in range(1, len(reading.ids) + 1)]
    return _probable_difference(torch.stack(rows), reading.plain)


# --- the sampler ------------------------------------------------------------------------------------------


def _mass(reading: _Reading, sampler: Sampler) -> float:
    parameters = SamplingParameters(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05)
    errors = [0.0]
    for row in reading.logits:
        step = sampler.distribution(row, (), parameters)
        removed = sum(removal.mass for removal in step.removals())
        errors += [abs(float(step.sampled.sum()) - 1), abs(step.kept_mass + removed - 1)]
    return max(errors)


def _cold(reading: _Reading, sampler: Sampler) -> float:
    worst = 0.0
    for row in reading.logits:
        first, second = row.double().topk(2).values.tolist()
        if first == second:
            continue  # two tokens share the limit
        for temperature in (0.0, max(1e-9, min(100.0, (first - second) / SEPARATION))):
            step = _whole(sampler, row, temperature)
            worst = max(worst, 1 - float(step.sampled[int(row.argmax())]))
    return worst


def _log_odds(reading: _Reading, sampler: Sampler) -> float:
    worst = 0.0
    for row in reading.logits:
        first, second = row.topk(2).indices.tolist()
        odds = float(row[first].double() - row[second].double())
        for temperature in (0.5, 2.0):
            sampled = _whole(sampler, row, temperature).sampled
            hot = float(sampled[first].log() - sampled[second].log())
            worst = max(worst, abs(hot * temperature - odds) / max(1.0, odds))
    return worst


def _whole(sampler: Sampler, row: Tensor, temperature: float) -> SampledDistribution:
    """Nothing but the temperature."""
    neutral = SamplingParameters(temperature=temperature, top_k=0, top_p=1.0, min_p=0.0)
    return sampler.distribution(row, (), neutral)


# --- errors -----------------------------------------------------------------------------------------------


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else 0.0


def _relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest expected number."""
    return _largest(found.double() - expected.double()) / max(_largest(expected.double()), 1e-30)


def _probable_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference of log-probabilities, of tokens with at least 1e-4."""
    a, b = found.double().log_softmax(-1), expected.double().log_softmax(-1)
    return _largest((a - b)[b > -9.2])
