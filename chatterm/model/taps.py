"""Looking into one forward pass, and changing it.

A *tap point* is a named value inside the decoder. Values are those that the computation really uses:

| point | shape | what |
|---|---|---|
| `embedding` | (T, width) | what enters the first block |
| `input` | (T, width) | residual stream before a block |
| `queries`, `keys`, `values` | (T, heads or kv_heads, head_size) | after their norm and rotation |
| `attention_weights` | (heads, T, S) | softmaxed, over all S positions so far |
| `heads` | (T, heads, head_size) | each head's mix of values, before the output projection |
| `attention_output` | (T, width) | what attention adds to the residual stream |
| `middle` | (T, width) | residual stream between attention and feed-forward (not in parallel blocks) |
| `activations` | (T, ffn_width) | what the feed-forward's last matrix reads: the neurons |
| `ffn_output` | (T, width) | what the feed-forward adds to the residual stream |
| `output` | (T, width) | residual stream after a block |
| `logits` | (T or 1, vocabulary) | float32 |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_POINTS = (
    "input",
    "queries",
    "keys",
    "values",
    "attention_weights",
    "heads",
    "attention_output",
    "middle",
    "activations",
    "ffn_output",
    "output",
)
OUTER_POINTS = ("embedding", "logits")

Place = tuple[str, int | None]
"""A tap point and the block it is in; None for `OUTER_POINTS`."""


@dataclass(frozen=True)
class Edit:
    """A change of one value: `value[where]` is replaced, then scaled, then added to."""

    point: str
    layer: int | None = None
    where: tuple[int | slice, ...] = ()  # an index into the value; () = all of it
    replacement: Tensor | None = None
    scale: float = 1.0
    since: str | None = None  # scale only what was added since this earlier point of the same block
    addition: Tensor | None = None

    def apply(self, value: Tensor, base: Tensor | None = None) -> Tensor:
        """The changed value; the original is left alone. `base` is the value at `since`."""
        changed = value.clone()
        part = changed[self.where] if self.replacement is None else self.replacement.to(changed)
        # lerp is exact at 0 and at 1
        part = part * self.scale if base is None else torch.lerp(base[self.where], part, self.scale)
        changed[self.where] = part if self.addition is None else part + self.addition.to(changed)
        return changed


class Taps:
    """What to read and what to change in the forward passes that it is given to."""

    def __init__(self, read: Iterable[str | Place] = (), edits: Iterable[Edit] = ()) -> None:
        """`read` names points (then in every block) or places.

        Raises:
            ValueError: there is no such point.
        """
        self.edits: dict[Place, list[Edit]] = {}
        for edit in edits:
            self.edits.setdefault(_known((edit.point, edit.layer)), []).append(edit)
        changes = [edit for several in self.edits.values() for edit in several]
        self._bases: dict[Place, Tensor | None] = {
            _known((edit.since, edit.layer)): None for edit in changes if edit.since is not None
        }
        self._everywhere = {_known((point, None))[0] for point in read if isinstance(point, str)}
        self._places = {_known(place) for place in read if not isinstance(place, str)}
        self.values: dict[Place, Tensor] = {}
        """What was read in the last forward pass, after edits."""

    @property
    def only_reads(self) -> bool:
        """Whether something is read and nothing is changed."""
        return bool(self._everywhere or self._places) and not self.edits

    def wants(self, point: str, layer: int | None = None) -> bool:
        """Whether the value is read or changed, for values that are only made on demand."""
        place = point, layer
        return (
            point in self._everywhere or place in self._places or place in self.edits or place in self._bases
        )

    def __call__(self, point: str, layer: int | None, value: Tensor) -> Tensor:
        """Pass a value through: change it if an edit says so, keep it if it is read."""
        for edit in self.edits.get((point, layer), ()):
            value = edit.apply(value, None if edit.since is None else self._bases[edit.since, layer])
        if (point, layer) in self._bases:
            self._bases[point, layer] = value
        if point in self._everywhere or (point, layer) in self._places:
            self.values[point, layer] = value
        return value

    def edits_only(self) -> Taps | None:
        """The same edits without reading, for passes over other tokens; None if there are none."""
        edits = [edit for several in self.edits.values() for edit in several]
        return Taps(edits=edits) if edits else None


def _known(place: Place) -> Place:
    if place[0] not in (*BLOCK_POINTS, *OUTER_POINTS):
        raise ValueError(
            f"no tap point is called {place[0]!r}; there are {', '.join((*BLOCK_POINTS, *OUTER_POINTS))}"
        )
    return place
