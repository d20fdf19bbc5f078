"""An engine without a model: a script of replies over the made-up vocabulary of `scripted_model`.

It keeps to the `LocalEngine` protocol, so that the interface cannot tell it from the real one. Everything is
a function of (script, position), so that a screenshot is the same each time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import scripted_model as made_up
from scripted_model import HAIKU, distribution
from scripted_supply import ScriptedSupply, SupplyKnobs

from chatterm.chat.prompt_tokens import CONTROL
from chatterm.engine.messages import (
    Discovered,
    Finished,
    FoundCheckpoint,
    LoadOptions,
    Predicted,
    Progress,
    Rendered,
    Started,
    TokenEvent,
    Tokenized,
)
from chatterm.engine.protocol import EngineDiedError, EngineError
from chatterm.records.generation import Chat, ControlSpan, ModelInfo, PromptToken, Timing, Tokens
from chatterm.records.inspection import RankCurve, RankCurveRead, Score, Scored, ScoredToken
from chatterm.sampling import SamplingParameters


def info(name: str = "Scripted-135M", context: int = 256) -> ModelInfo:
    return ModelInfo(
        name=name,
        path=f"/models/{name}.gguf",
        format="gguf",
        family="llama",
        parameters=134_515_008,
        quantisation="Q4_1",
        computation="int4 · bfloat16",
        device="cpu",
        file_bytes=98_362_432,
        layers=30,
        heads=9,
        vocabulary=len(made_up.WORDS),
        trained_context=context,
        context=context,
        is_chat=True,
        sampling=SamplingParameters(),
        sampling_source="chatterm defaults",
        exact=False,
    )


class Knobs(SupplyKnobs):
    """What a test does to the engine."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[list[str]] = [HAIKU]
        self.delay = 0.0
        self.hold_at: int | None = None  # token before which the reply waits for `go`
        self.go = asyncio.Event()
        self.die_at: int | None = None  # token before which the engine dies
        self.deaths_while_loading = 0
        self.load_error: str | None = None
        self.load_gate: asyncio.Event | None = None
        self.discover_gate: asyncio.Event | None = None
        self.fetch_error: str | None = None
        self.fetch_progress: list[Progress] = []
        self.fetch_gate: asyncio.Event | None = None
        self.generate_error: str | None = None
        self.thinking = False
        self.notices: tuple[str, ...] = ()
        self.context = 256
        self.found: tuple[FoundCheckpoint, ...] = FOUND
        self.available_bytes = 4_000_000_000
        self.started: list[ScriptedEngine] = []
        self.chats: list[Chat] = []
        self.samplings: list[SamplingParameters] = []
        self.questions: list[object] = []
        self.inspect_gate: asyncio.Event | None = None  # questions wait for it
        self.inspect_error: str | None = None
        self.predictions: list[tuple[Tokens, SamplingParameters]] = []

    async def start(self) -> ScriptedEngine:
        engine = ScriptedEngine(self)
        self.started.append(engine)
        return engine


def _found(name: str, **more: object) -> FoundCheckpoint:
    values = {
        "name": name,
        "path": f"/models/{name}.gguf",
        "source": "models/",
        "format": "gguf",
        "file_bytes": 98_362_432,
        "family": "llama",
        "parameters": 134_515_008,
        "quantisation": "Q4_1",
        "trained_context": 8192,
        "is_chat": True,
        "memory_bytes": 220_000_000,
        "step_bytes": 98_000_000,
        "is_ours": True,
    }
    return FoundCheckpoint(**{**values, **more})


FOUND = (
    _found("Scripted-135M"),
    _found(
        "Scripted-1B",
        source="Hugging Face cache",
        format="safetensors",
        file_bytes=2_400_000_000,
        parameters=1_200_000_000,
        quantisation="bfloat16",
        memory_bytes=2_900_000_000,
        step_bytes=2_400_000_000,
        is_ours=False,
        family="qwen3",
    ),
    _found(
        "Scripted-70B",
        source="Ollama",
        file_bytes=40_000_000_000,
        parameters=70_000_000_000,
        quantisation="Q4_K_M",
        memory_bytes=43_000_000_000,
        step_bytes=40_000_000_000,
        is_ours=False,
    ),
    _found(
        "mixture-8x7B",
        family="mixtral",
        parameters=None,
        quantisation=None,
        memory_bytes=None,
        problem="mixtral is a mixture of experts, which chatterm cannot run yet.",
    ),
)


def prompt_pieces(chat: Chat) -> list[str]:
    """What the made-up template makes of a conversation: 20 tokens and one for every word."""
    pieces: list[str] = []
    for message in chat.messages:
        words = [word for word in re.split(r"(?= )", message.content) if word]
        pieces += [f"<|{message.role}|>", "\n", *words, "<|end|>", "\n"]
    pieces += ["<|assistant|>", "\n"]
    length = 20 + sum(len(message.content.split()) for message in chat.messages)
    return ["<|begin|>"] * (length - len(pieces)) + pieces


class ScriptedEngine(ScriptedSupply):
    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.info: ModelInfo | None = None
        self.alive = True
        self.closed = False

    async def load(self, path: str, options: LoadOptions | None = None, on_progress=None) -> ModelInfo:
        if on_progress is not None:
            on_progress(Progress(request=1, what="reading tensors", done=90, total=272, unit="tensors"))
        if self.knobs.load_gate is not None:
            await self.knobs.load_gate.wait()
        if self.knobs.deaths_while_loading > 0:
            self.knobs.deaths_while_loading -= 1
            self.alive = False
            raise EngineDiedError("The engine was killed, most likely because memory ran out.")
        if self.knobs.load_error is not None:
            raise EngineError(self.knobs.load_error)
        name = path.rsplit("/", 1)[-1].removesuffix(".gguf")
        self.info = info(name if name != "default" else "Scripted-135M", self.knobs.context)
        return self.info

    def generate(self, prompt, sampling, *, max_tokens=None, stop=(), candidates=10):
        assert isinstance(prompt, (Chat, Tokens))
        self.knobs.chats.append(prompt)
        self.knobs.samplings.append(sampling)
        return ScriptedReply(self, prompt, sampling, candidates, max_tokens)

    async def predict(self, prompt, sampling, *, candidates=10, also=()) -> Predicted:
        self._check()
        assert isinstance(prompt, Tokens)
        self.knobs.predictions.append((prompt, sampling))
        position = len(prompt.ids) + len(prompt.begun)
        script = next((made_up.WORDS[n] for n in also), None)
        return Predicted(
            request=1,
            prompt=prompt.ids + prompt.begun,
            distribution=distribution(position, script, sampling, candidates, also),
        )

    async def inspect(self, question, on_progress=None):
        """Scores and rank curves under the same made-up distributions; `scripted_glass` has the others."""
        self._check()
        self.knobs.questions.append(question)
        if self.knobs.inspect_gate is not None:
            await self.knobs.inspect_gate.wait()
        if self.knobs.inspect_error is not None:
            raise EngineError(self.knobs.inspect_error)
        if not isinstance(question, (Score, RankCurve)):
            from scripted_glass import answer

            return answer(question)
        ids = question.prompt.ids
        if isinstance(question, Score):
            scored = [ScoredToken(ids[0], made_up.WORDS[ids[0] % len(made_up.WORDS)], None, None, None)]
            for position, number in enumerate(ids[1:], start=1):
                there = distribution(position, None, SamplingParameters(), len(made_up.WORDS))
                row = next(c for c in there.candidates if c.id == number % len(made_up.WORDS))
                scored.append(ScoredToken(number, row.text, row.logprob, row.rank, there.entropy))
            return Scored(tuple(scored))
        there = distribution(len(ids), None, question.sampling, len(made_up.WORDS)).candidates
        return RankCurveRead(
            tuple(c.rank for c in there), tuple(c.p for c in there), tuple(c.sampled for c in there), -1.4
        )

    async def tokenize(self, text: str, *, control: tuple[ControlSpan, ...] = ()) -> Tokenized:
        self._check()
        if control:
            return await self._with_control(text, control)
        if text in made_up.WORDS:
            return Tokenized(request=1, tokens=(PromptToken(made_up.WORDS.index(text), text, 0, len(text)),))
        words = text.split(" ")
        return Tokenized(request=1, tokens=tuple(PromptToken(n, w, 0, 0) for n, w in enumerate(words) if w))

    async def _with_control(self, text: str, control: tuple[ControlSpan, ...]) -> Tokenized:
        """Each stretch by itself, with the control tokens between."""
        tokens: list[PromptToken] = []
        position = 0
        for span in (*control, ControlSpan(-1, len(text), len(text))):
            tokens += (
                (await self.tokenize(text[position : span.start])).tokens if position < span.start else ()
            )
            if span.id >= 0:
                name = text[span.start : span.end]
                tokens.append(PromptToken(span.id, name, span.start, span.end, control=True))
            position = span.end
        return Tokenized(request=1, tokens=tuple(tokens))

    async def render(self, chat: Chat | Tokens) -> Rendered:
        """A template of one control token a message, and a token for every word."""
        self._check()
        text, tokens = "", []
        if isinstance(chat, Tokens):
            for number in chat.ids:
                piece = made_up.WORDS[number]
                tokens.append(PromptToken(number, piece, len(text), len(text) + len(piece)))
                text += piece
            return Rendered(request=1, text=text, tokens=tuple(tokens))
        for piece in prompt_pieces(chat):
            number = made_up.WORDS.index(piece) if piece in made_up.WORDS else len(tokens) % 30
            is_control = CONTROL.fullmatch(piece) is not None
            tokens.append(PromptToken(number, piece, len(text), len(text) + len(piece), is_control))
            text += piece
        return Rendered(request=1, text=text, tokens=tuple(tokens))

    async def discover(self, folders=()) -> Discovered:
        if self.knobs.discover_gate is not None:
            await self.knobs.discover_gate.wait()
        return Discovered(
            request=1,
            checkpoints=self.knobs.found,
            available_bytes=self.knobs.available_bytes,
            unfinished=self.knobs.unfinished,
            bytes_per_second=self.knobs.bytes_per_second,
            no_speed=self.knobs.no_speed,
        )

    async def fetch(self, name: str, on_progress=None) -> str:
        for progress in self.knobs.fetch_progress:
            on_progress(progress)
        if self.knobs.fetch_gate is not None:
            await self.knobs.fetch_gate.wait()
        if self.knobs.fetch_error is not None:
            raise EngineError(self.knobs.fetch_error)
        return name if name.startswith("/") else f"/models/{name}.gguf"

    async def close(self) -> None:
        self.alive = False
        self.closed = True

    def _check(self) -> None:
        if not self.alive:
            raise EngineDiedError("The engine was killed, most likely because memory ran out.")


class ScriptedReply:
    def __init__(
        self,
        engine: ScriptedEngine,
        prompt: Chat | Tokens,
        sampling: SamplingParameters,
        count: int,
        longest: int | None = None,
    ) -> None:
        self.longest = longest
        self.engine = engine
        self.prompt = prompt
        self.sampling = sampling
        self.count = count
        self.stopped = False
        self.steered: list[SamplingParameters] = []

    def steer(self, sampling: SamplingParameters) -> None:
        self.sampling = sampling
        self.steered.append(sampling)

    def stop(self) -> None:
        self.stopped = True
        self.engine.knobs.go.set()

    async def __aiter__(self) -> AsyncIterator[object]:
        knobs = self.engine.knobs
        self.engine._check()
        if knobs.generate_error is not None:
            raise EngineError(knobs.generate_error)
        knobs.replies = knobs.replies[1:] + knobs.replies[:1]
        begun = self.prompt.begun
        script = knobs.replies[-1][len(begun) :][: self.longest]
        if isinstance(self.prompt, Tokens):
            ids = self.prompt.ids
        else:
            ids = tuple(token.id for token in (await self.engine.render(self.prompt)).tokens)
        length = len(ids) + len(begun)
        yield Started(
            request=1,
            prompt=ids + begun,
            reused=0,
            notices=knobs.notices,
            thinking=knobs.thinking,
            begun=tuple(made_up.WORDS[number] for number in begun),
        )
        reason, index = "end", 0
        for index, word in enumerate(script):
            if index == knobs.hold_at:
                await knobs.go.wait()
            if index == knobs.die_at:
                self.engine.alive = False
            self.engine._check()
            await asyncio.sleep(knobs.delay)
            if self.stopped:
                reason = "stopped"
                break
            if length + index >= knobs.context:
                reason = "context"
                break
            yield self._token(length + index, word)
        timing = Timing(
            prompt_tokens=length,
            reused_tokens=0,
            generated_tokens=index + 1,
            first_token=0.2,
            prefill=0.2,
            decode=index / 60,
        )
        yield Finished(request=1, reason=reason, text="", timing=timing)

    def _token(self, position: int, word: str) -> TokenEvent:
        number = made_up.WORDS.index(word)
        sampling = self.sampling
        found = distribution(position, word, sampling, self.count, (number,))
        drawn = next(c for c in found.candidates if c.id == number)
        return TokenEvent(
            request=1,
            id=number,
            text=word,
            logprob=drawn.logprob,
            rank=drawn.rank,
            sampled=drawn.sampled,
            distribution=found,
            temperature=sampling.temperature,
        )
