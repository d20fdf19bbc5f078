"""How fast the loaded model is: reading prompts, decoding, writing replies, and what memory would allow.

Every repeat goes once through all lengths, so that a disturbance falls on all of them alike, and everything
is run once before it counts. What is measured is what a chat runs: the session's own context, in its own
pieces.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import psutil
import torch
from torch import nn

from chatterm.engine import wire
from chatterm.engine.messages import AnyEvent, Bench, Benched, Finished, Generate, Progress, Rates
from chatterm.engine.reply import Control, ReplyWriter
from chatterm.engine.session import Session
from chatterm.errors import UserError
from chatterm.model.decoder import Decoder
from chatterm.model.linear import Linear
from chatterm.model.tiled import TiledLinear
from chatterm.records.generation import Text

OPENING = "Once upon a time there was a lighthouse keeper who"
"""What the measured reply goes on from."""
STRIDE = 7919
"""A prime: token i of the text is `i · STRIDE` modulo the vocabulary, so that none comes twice soon."""
STREAMING_PASSES = 3
"""In each round; the fastest of all counts."""
MEMORY_SHARE = 0.25
"""Share of the free memory that the buffer of the streaming read may take."""


class Measurement:
    """One measurement of a loaded session.

    Args:
        session: what to measure; what its cache holds is forgotten.
        request: what to measure of it.
        send: takes `Progress`.
        stopped: whether the user wants it to end.
    """

    def __init__(
        self,
        session: Session,
        request: Bench,
        send: Callable[[AnyEvent], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._session = session
        self._context = session.context
        self._decoder = session.context.decoder
        self._request = request
        self._send = send
        self._stopped = stopped
        room = self._context.capacity
        self._lengths = [length for length in request.prefill if length <= room]
        self._contexts = [length for length in request.contexts if length + request.decoded <= room]
        self._total = (request.repeats + 1) * (
            sum(self._lengths) + (len(self._contexts) + 1) * request.decoded
        ) + max(self._contexts, default=0)
        self._done = 0

    def run(self) -> Benched:
        """Measure everything.

        Raises:
            UserError: it was stopped.
        """
        prefills = {length: partial(self._prefill, length) for length in self._lengths}
        decodes = {length: partial(self._decode, length) for length in self._contexts}
        measures: list[Callable[[], float]] = [*prefills.values(), *decodes.values(), self._reply]
        threads = threads_of(self._decoder)
        with torch.inference_mode():
            for warm_up in measures:
                warm_up()
            peak = _peak_bytes()  # before there is the buffer below
            streaming = StreamingRead(self._decoder.device, self._request.streamed_bytes, threads)
            rounds = [
                ([measure() for measure in measures], streaming.passes())
                for _ in range(self._request.repeats)
            ]
        columns = iter(zip(*(rates for rates, _ in rounds), strict=True))
        return Benched(
            request=self._request.request,
            prefill=tuple(Rates(length, next(columns)) for length in prefills),
            decode=tuple(Rates(length, next(columns)) for length in decodes),
            reply=next(columns),
            step_bytes=step_bytes(self._decoder),
            streaming=tuple(rate for _, passes in rounds for rate in passes),
            threads=threads,
            peak_bytes=peak,
            way=self._decoder.way,
        )

    def _prefill(self, length: int) -> float:
        """Tokens per second of reading a prompt of that length into an empty cache."""
        ids = self._ids(length)
        self._context.begin([])
        began = time.perf_counter()
        self._read(ids)
        return length / (self._now() - began)

    def _decode(self, length: int) -> float:
        """Tokens per second, one at a time, after `length` tokens."""
        count = self._request.decoded
        ids = self._ids(length + count)
        self._context.begin(ids[:length])
        self._read(ids[:length])
        self._now()
        began = time.perf_counter()
        for token in ids[length:]:
            self._context.append([token])
        rate = count / (self._now() - began)
        self._tell(count)
        return rate

    def _reply(self) -> float:
        """Tokens per second of a reply with its sampler, its candidates and its messages."""
        finished: list[Finished] = []

        def send(event: AnyEvent) -> None:
            wire.frame(event)
            if isinstance(event, Finished):
                finished.append(event)

        never_ends = {str(token): float("-inf") for token in self._session.tokenizer.end_ids}
        sampling = self._session.info.sampling.replace(seed=1, logit_bias=never_ends)
        request = Generate(
            request=self._request.request,
            prompt=Text(OPENING),
            sampling=sampling,
            max_tokens=self._request.decoded,
        )
        self._context.begin([])
        ReplyWriter(self._session, request, send, Control(lambda: False, lambda: None)).write()
        self._tell(self._request.decoded)
        return finished[0].timing.tokens_per_second

    def _ids(self, count: int) -> list[int]:
        return [index * STRIDE % self._session.info.vocabulary for index in range(1, count + 1)]

    def _read(self, ids: list[int]) -> None:
        before = len(self._context.tokens)
        for read in self._context.read(ids):
            self._tell(read - before)
            before = read

    def _tell(self, tokens: int) -> None:
        if self._stopped():
            raise UserError("The measurement was stopped.")
        self._done = min(self._done + tokens, self._total)
        self._send(
            Progress(
                request=self._request.request,
                what="measuring",
                done=self._done,
                total=self._total,
                unit="tokens",
            )
        )

    def _now(self) -> float:
        """The time when everything that was started is done."""
        if self._decoder.device.type == "cuda":
            torch.cuda.synchronize(self._decoder.device)
        return time.perf_counter()


def step_bytes(decoder: Decoder) -> int:
    """Bytes of weights that decoding one token reads, as they lie in memory.

    Every weight, except an embedding that is not the unembedding too: of that a step reads one row.
    """
    total = sum(_weight_bytes(module) for module in _leaves(decoder) if module is not decoder.embedding)
    if decoder.embedding is decoder.unembedding:
        total += _weight_bytes(decoder.embedding)
    return total


def _leaves(decoder: Decoder) -> Iterator[nn.Module]:
    for module in decoder.modules():
        if isinstance(module, Linear) or not list(module.children()):
            yield module


def _weight_bytes(module: nn.Module) -> int:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    packed = module.parts if isinstance(module, TiledLinear) else []
    return sum(tensor.nbytes for tensor in own) + sum(part.nbytes for part in packed)


def threads_of(decoder: Decoder) -> int:
    """Threads that decode."""
    if isinstance(decoder.embedding, TiledLinear):
        return decoder.embedding.parts[0].pool.threads
    return torch.get_num_threads()


class StreamingRead:
    """Reads a buffer from its beginning to its end: as fast as this machine's memory can be read.

    The buffer is much larger than any cache, unless memory is short. Its numbers are added up as integers,
    which costs next to nothing beside fetching them.
    """

    def __init__(self, device: torch.device, size: int, threads: int) -> None:
        """Fill a buffer of `size` bytes, or of the share of the free memory that it may take."""
        size = min(size, int(psutil.virtual_memory().available * MEMORY_SHARE))
        self._numbers = torch.ones(max(1, size // 8), dtype=torch.int64, device=device)
        self._threads = threads

    def passes(self) -> list[float]:
        """Bytes per second of each of a few passes."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return [self._pass() for _ in range(STREAMING_PASSES)]
        finally:
            torch.set_num_threads(before)

    def _pass(self) -> float:
        began = time.perf_counter()
        int(self._numbers.sum())
        return self._numbers.nbytes / (time.perf_counter() - began)


def _peak_bytes() -> int:
    """The most memory that this process has held at a time."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
