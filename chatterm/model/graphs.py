"""Decode steps as CUDA graphs: a whole step is one launch instead of a thousand.

A graph computes on fixed memory, so there is one for each number of positions that a step looks over
(`chatterm.model.static.bucket`), and all are captured anew when the cache moves to larger memory. Each is
compared with the ordinary step once, when it has been captured. Whatever goes wrong, the ordinary step is
there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chatterm.model.cache import Cache
from chatterm.model.static import NotFixedError, StaticStep, bucket

if TYPE_CHECKING:
    from chatterm.model.decoder import Decoder

AGREEMENT = {torch.float32: 1e-3, torch.bfloat16: 0.2}
"""Nats by which a log-probability among the ordinary step's top ten may differ in a graph.

The same operations over another number of positions round differently; in bfloat16, over thirty blocks, that
is hundredths of a nat. What is computed from a wrong position or mask is off by whole ones.
"""

PATIENCE = 2
"""Ordinary steps over a cache before the one that is captured; many caches are never stepped again."""

WARM_UPS = 3
"""Runs before the capture, in which libraries take their working memory."""

Run = Callable[[], Tensor]
"""A step, or its replay; the tensor is always the same one."""

Capture = Callable[[Run], Run]


def captures(device: torch.device) -> Capture:
    """A function that captures graphs on a GPU; they share their working memory."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        with torch.cuda.device(device):
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=stream):
                result = run()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    return capture


def capturing(device: torch.device) -> str:
    """Whether graphs can be captured on a GPU, tried with a small one: "yes", or why not."""
    try:
        numbers = torch.ones(256, device=device)
        run = captures(device)(lambda: numbers.cumsum(0))
        numbers.fill_(2.0)
        return "yes" if float(run()[-1]) == 512.0 else "no: a graph that was run again gave wrong numbers"
    except Exception as error:
        return f"no: {_said(error)}"


@dataclass(frozen=True)
class _Captured:
    step: StaticStep
    run: Run
    positions: int


class GraphSteps:
    """The captured steps of a decoder over one cache at a time.

    `notices` are sentences for the user that nobody has taken yet; `refusal` says why no graph is used.
    """

    def __init__(self, decoder: Decoder, capture: Capture | None = None) -> None:
        """`capture` makes a step repeatable at once; None = as a CUDA graph."""
        self._decoder = decoder
        self._given, self._capture = capture, capture
        self._captured: dict[tuple[int, tuple[int, ...]], _Captured] = {}
        self._cache: weakref.ref[Cache] | None = None
        self._memory: tuple[Tensor, Tensor] | None = None
        self._stepped: weakref.ref[Cache] | None = None
        self._ordinary = 0
        self._next, self._finite = -1, 0
        self.refusal = ""
        self.notices: list[str] = []
        self.difference = 0.0
        """The largest one found, in nats, see `AGREEMENT`."""

    @property
    def in_use(self) -> bool:
        """Whether a step has been captured."""
        return bool(self._captured)

    def __call__(self, tokens: Tensor, cache: Cache, length: int) -> Tensor | None:
        """Read the next token `(1,)`: float32 logits `(vocabulary,)`, or None if there is no graph for it.

        `length` is that of the text with the token, as in `Cache.begin`.
        """
        captured = self._find(cache)
        if captured is None:
            return None
        cache.begin(tokens, length)
        try:
            self._make_finite(cache, captured.positions)
            captured.step.token.copy_(tokens, non_blocking=True)
            captured.step.position.fill_(cache.length)
            logits = captured.run().clone()
        except Exception as error:
            self._refuse(_said(error))
            return None
        cache.finish()
        self._next = cache.length
        return logits

    def learn(self, tokens: Tensor, cache: Cache, logits: Tensor) -> None:
        """An ordinary step has read the last token of the text `(1,)` and found `logits` `(vocabulary,)`.

        After a few of them over the same cache the step is captured, and checked with this one.
        """
        if self.refusal or not self._has_stepped(cache):
            return
        if not self._is_mine(cache):
            self._captured.clear()
            self._cache, self._memory = weakref.ref(cache), None
        if not self._is_same_memory(cache):
            self._captured.clear()
            self._memory = cache.keys, cache.values
        try:
            self._add(tokens, cache, logits)
        except NotFixedError:
            pass  # this text needs the ordinary step
        except Exception as error:
            self._refuse(_said(error))

    def _has_stepped(self, cache: Cache) -> bool:
        """Whether this is at least the third ordinary step in a row over this cache."""
        if self._stepped is None or self._stepped() is not cache:
            self._stepped, self._ordinary = weakref.ref(cache), 0
        self._ordinary += 1
        return self._ordinary > PATIENCE

    def _is_mine(self, cache: Cache) -> bool:
        return self._cache is not None and self._cache() is cache

    def _is_same_memory(self, cache: Cache) -> bool:
        memory = self._memory
        return memory is not None and memory[0] is cache.keys and memory[1] is cache.values

    def _find(self, cache: Cache) -> _Captured | None:
        if not self._captured or not self._is_mine(cache) or not self._is_same_memory(cache):
            return None
        length = cache.length + 1
        if length > cache.keys.shape[2] or not self._decoder.rotation_is_fixed(length):
            return None
        return self._captured.get(self._key(cache, length))

    def _key(self, cache: Cache, length: int) -> tuple[int, tuple[int, ...]]:
        assert cache.regime is not None
        return bucket(length, cache.keys.shape[2]), cache.regime

    def _add(self, tokens: Tensor, cache: Cache, logits: Tensor) -> None:
        """Capture a step over as many positions as the last token needs, unless there is one."""
        key, at = self._key(cache, cache.length), cache.length - 1
        if key in self._captured:
            return
        step = StaticStep(self._decoder, cache, key[0], cache.length)
        step.token.copy_(tokens)
        step.position.fill_(at)
        kept = cache.keys[:, :, at].clone(), cache.values[:, :, at].clone()
        self._next = -1
        self._make_finite(cache, key[0])
        try:
            if self._capture is None or not self._captured:  # memory of graphs that are gone goes with them
                self._capture = self._given or captures(self._decoder.device)
            run = self._capture(step)
            difference = _difference(run(), logits)
        finally:
            cache.keys[:, :, at], cache.values[:, :, at] = kept
        bound = AGREEMENT.get(self._decoder.dtype, 0.0)
        if not difference <= bound:  # also when it is not a number
            self._refuse(f"its log-probabilities are off by {difference:.2g} nats, over {bound:g}")
            return
        self.difference = max(self.difference, difference)
        self._captured[key] = _Captured(step, run, key[0])

    def _make_finite(self, cache: Cache, positions: int) -> None:
        """Whatever lies beyond the text, of a longer one or never written, becomes 0."""
        if cache.length != self._next or positions > self._finite:
            cache.values[:, :, cache.length : positions].zero_()
            self._finite = positions

    def _refuse(self, why: str) -> None:
        if not self.refusal:
            self.notices.append(
                f"Steps are computed one operation at a time, because a CUDA graph of them failed ({why})."
            )
        self.refusal = why
        self._captured.clear()
        self._memory = None


def _said(error: Exception) -> str:
    """An error's name and the beginning of what it says."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:100]}"


def _difference(logits: Tensor, expected: Tensor) -> float:
    """How far the log-probabilities of the ten most probable tokens are apart, at most."""
    top = expected.topk(min(10, expected.shape[0])).indices
    ours, right = logits.log_softmax(-1)[top], expected.log_softmax(-1)[top]
    return float((ours - right).abs().max())
