"""An engine, conversations and folders in which every text is an attack."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

import scripted
import scripted_model

from chatterm.engine.messages import (
    Checked,
    Described,
    Device,
    Examined,
    FoundCheckpoint,
    Progress,
    Rendered,
    Tokenized,
)
from chatterm.library.document import (
    CandidateDocument,
    ConversationDocument,
    MessageDocument,
    RemovalDocument,
    TokenDocument,
)
from chatterm.records.generation import ModelInfo, Prompt, PromptToken, Text, Tokens
from tests.faults.corpus import attack, file_name, pieces, writable

TOKENS = Tokens((1, 2, 3, 4, 5))


class Villain:
    """Makes attacks; `kinds` are those that were used."""

    def __init__(self, numbers: random.Random) -> None:
        self.numbers = numbers
        self.kinds: list[str] = []

    def text(self, longest: int = 4_000) -> str:
        """A text that UTF-8 can carry: what comes from the engine, from files and from the library."""
        found = attack(self.numbers, longest)
        self.kinds.append(found.kind)
        return writable(found)

    def wild(self, longest: int = 4_000) -> str:
        """A text with halves of characters too: what the interface is given by its own process."""
        found = attack(self.numbers, longest)
        self.kinds.append(found.kind)
        return str(found)

    def words(self) -> tuple[str, ...]:
        """A vocabulary of as many tokens as the scripted one: pieces of attacks, no two alike."""
        found = dict.fromkeys((" the", " a", " sea", ".", "\n", " moon", " and", "苹果"))  # that it asks for
        while len(found) < len(scripted_model.WORDS):
            for piece in pieces(self.numbers, self.text(600), 12):
                found[piece[:200]] = None
        return tuple(found)[: len(scripted_model.WORDS)]

    def found(self, name: str = "") -> FoundCheckpoint:
        """A checkpoint that says odd things about itself."""
        return FoundCheckpoint(
            name=name or self.text(300),
            path=f"/models/{self.text(200)}",
            source=self.text(100),
            format="gguf",
            file_bytes=98_362_432,
            family=self.text(100),
            parameters=self.numbers.choice((None, 0, 135_000_000)),
            quantisation=self.text(100),
            memory_bytes=self.numbers.choice((None, 220_000_000, 10**15)),
            is_chat=self.numbers.random() < 0.5,
            problem=self.numbers.choice((None, self.text(300))),
        )


class HostileEngine(scripted.ScriptedEngine):
    """The scripted engine with attacks in everything that a checkpoint could have chosen."""

    def __init__(self, knobs: HostileKnobs) -> None:
        super().__init__(knobs)
        self.villain = knobs.villain

    async def load(self, path: str, options: object = None, on_progress: Any = None) -> ModelInfo:
        if on_progress is not None:
            on_progress(Progress(request=1, what=self.villain.text(200), done=1, total=2, unit="tensors"))
        info = await super().load("default", options, on_progress)
        self.info = msgspec.structs.replace(
            info,
            name=self.knobs.name,
            path=path,
            family=self.villain.text(60),
            quantisation=self.villain.text(60),
            computation=self.villain.text(60),
            sampling_source=self.villain.text(100),
            notices=(self.villain.text(400),),
        )
        return self.info

    async def fetch(self, name: str, on_progress: Any = None, *, download: bool = True) -> str:
        return f"/models/{self.villain.text(200)}"

    async def predict(self, prompt: Prompt, sampling: object, **more: Any) -> Any:
        return await super().predict(TOKENS if isinstance(prompt, Text) else prompt, sampling, **more)

    async def inspect(self, question: Any, on_progress: Any = None) -> Any:
        if isinstance(getattr(question, "prompt", None), Text):
            question = msgspec.structs.replace(question, prompt=TOKENS)
        return await super().inspect(question, on_progress)

    async def tokenize(self, text: str, path: str | None = None, **more: Any) -> Tokenized:
        if path is None:
            return await super().tokenize(text, **more)
        return Tokenized(
            request=1, tokens=tuple(PromptToken(n, w, 0, 0) for n, w in enumerate(scripted_model.WORDS))
        )

    async def render(self, chat: Any) -> Rendered:
        rendered = await super().render(chat)
        return msgspec.structs.replace(rendered, notices=(self.villain.text(200),))

    async def describe(self, path: str) -> Described:
        details = {self.villain.text(100): self.villain.text(300) for _ in range(3)}
        return Described(request=1, checkpoint=self.villain.found(), details={**details, "layers": 30})

    async def check(self, path: str, on_progress: Any = None) -> Checked:
        text = self.villain.text
        return Checked(request=1, summary=text(300), problems=(text(300),), details={text(90): text(300)})

    async def examine(self, *, measure: bool = False) -> Examined:
        text = self.villain.text
        return Examined(
            request=1,
            torch=text(60),
            threads=2,
            instructions=text(60),
            devices=(Device(text(60), text(60)),),
            available_bytes=1,
            total_bytes=2,
            measured={text(60): text(60)},
        )


class HostileKnobs(scripted.Knobs):
    """The knobs of the scripted engine, set to attack."""

    def __init__(self, villain: Villain) -> None:
        super().__init__()
        self.villain = villain
        self.name = villain.text(300)
        words = [word for word in scripted_model.WORDS if word]
        self.replies = [[villain.numbers.choice(words) for _ in range(villain.numbers.randrange(1, 30))]]
        if villain.numbers.random() < 0.3:
            self.thinking = True
        self.notices = (villain.text(400),)
        self.found = tuple(villain.found() for _ in range(5))
        refuses = villain.numbers.random()
        if refuses < 0.05:
            self.load_error = villain.text(400)
        elif refuses < 0.1:
            self.generate_error = villain.text(400)
        elif refuses < 0.15:
            self.inspect_error = villain.text(400)

    async def start(self) -> HostileEngine:
        engine = HostileEngine(self)
        self.started.append(engine)
        return engine


def vocabulary(villain: Villain) -> AbstractContextManager[None]:
    """The scripted engine with a hostile vocabulary."""
    return scripted_model.vocabulary(villain.words())


@contextmanager
def home(folder: Path, **variables: str) -> Iterator[None]:
    """Settings, conversations and models under `folder`, which is also the current one."""
    names = {f"CHATTERM_{kind}": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "MODELS", "LOG")}
    names |= {"CHATTERM_CACHE": str(folder / "cache"), "HOME": str(folder), **variables}
    before = {name: os.environ.get(name) for name in names}
    here = Path.cwd()
    os.environ.update(names)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def conversation(villain: Villain, said: str = "") -> ConversationDocument:
    """A conversation with branches, tokens and candidates, every text of which is an attack."""
    numbers, text = villain.numbers, villain.text
    messages = []
    for number in range(1, numbers.randrange(2, 6)):
        parent = None if number == 1 else numbers.choice((number - 1, number - 1, max(1, number - 2)))
        content = (said + " " + text()) if number == 1 and said else text()
        reply = number % 2 == 0
        messages.append(
            MessageDocument(
                id=number,
                parent=parent,
                role="assistant" if reply else "user",
                content=content,
                created=1_700_000_000.0 + number,
                model=text(200) if reply else None,
                notices=(text(200),) if reply else (),
                status="stopped" if numbers.random() < 0.2 else "done",
                tokens=tuple(_tokens(villain, content)) if reply else (),
            )
        )
    chosen = {message.parent: message.id for message in messages}
    return ConversationDocument(
        title=text(300),
        title_is_users=True,
        created=1_700_000_000.0,
        updated=1_700_000_100.0,
        pinned=numbers.random() < 0.3,
        model=text(200),
        system_prompt=text(500) if numbers.random() < 0.7 else "",
        chosen=1,
        messages=tuple(msgspec.structs.replace(m, chosen=chosen.get(m.id)) for m in messages),
    )


def _tokens(villain: Villain, content: str) -> Iterator[TokenDocument]:
    start = 0
    for place, piece in enumerate(pieces(villain.numbers, content)):
        candidates = [piece, *(villain.text(60) for _ in range(2))]
        yield TokenDocument(
            id=place,
            text=piece,
            start=start,
            position=place,
            logprob=-villain.numbers.random() * 8,
            rank=1,
            sampled=0.5,
            entropy=1.0,
            temperature=0.8,
            kept=3,
            removed=(RemovalDocument(step=villain.text(40), tokens=3, mass=0.1),),
            candidates=tuple(
                CandidateDocument(
                    id=place if n == 0 else 1000 + n,
                    text=candidate,
                    logprob=-1.0 - n,
                    rank=n + 1,
                    sampled=0.3,
                    removed_by=villain.numbers.choice((None, villain.text(40))),
                )
                for n, candidate in enumerate(candidates)
            ),
        )
        start += len(piece)


def litter(villain: Villain, folder: Path, count: int = 6) -> list[Path]:
    """Files and folders with hostile names and contents."""
    found = []
    for _ in range(count):
        path = folder / file_name(villain.numbers)
        if path.exists():
            continue
        if villain.numbers.random() < 0.2:
            path.mkdir()
        else:
            path.write_text(villain.text(), "utf-8", newline="")
        found.append(path)
    return found
