"""The half of the scripted engine that gets and keeps checkpoints: a hub of two repositories, no disk."""

from __future__ import annotations

import asyncio

from chatterm.engine.messages import Progress
from chatterm.engine.protocol import EngineError
from chatterm.records.supply import (
    Deleted,
    HubChoice,
    HubOffered,
    HubRepository,
    HubSearched,
    Unfinished,
    Verified,
)

REPOSITORIES = (
    HubRepository(
        "people/Sea-1B-GGUF",
        ("gguf",),
        downloads=12_400,
        likes=310,
        licence="apache-2.0",
        licence_url="https://example.org/licence",
        modified="2025-03-01",
        parameters=1_200_000_000,
        family="llama",
    ),
    HubRepository(
        "苹果/海-3B",
        ("safetensors",),
        downloads=950,
        likes=7,
        licence="海 community",
        modified="2025-02-11",
        gated=True,
        parameters=3_000_000_000,
        family="qwen3",
    ),
)
MORE = HubRepository("people/Sea-old", ("gguf",), downloads=3, likes=0, modified="2023-01-01")


def _choice(kind: str, size: int, bits: float, **more: object) -> HubChoice:
    values = {
        "name": f"people/Sea-1B-GGUF:{kind}",
        "label": f"Sea-1B-{kind}.gguf",
        "format": "gguf",
        "size": size,
        "files": 1,
        "quantisation": kind,
        "bits": bits,
        "memory": size + 600_000_000,
        "step_bytes": size,
    }
    return HubChoice(**{**values, **more})


CHOICES = (
    _choice("Q4_K_M", 720_000_000, 4.8),
    _choice("Q8_0", 1_280_000_000, 8.5),
    _choice("F16", 2_400_000_000, 16.0, files=2, label="Sea-1B-F16.gguf"),
    _choice("F32", 4_800_000_000, 32.0, memory=None),
)


class SupplyKnobs:
    """What a test does to the hub and the disk."""

    def __init__(self) -> None:
        self.unfinished: tuple[Unfinished, ...] = ()
        self.bytes_per_second: float | None = 4.2e9
        self.no_speed = ""
        self.hub_error: str | None = None
        self.hub_gate: asyncio.Event | None = None
        self.repositories = REPOSITORIES
        self.choices = CHOICES
        self.has_token = False
        self.searched: list[str] = []
        self.fetched: list[str] = []
        self.deleted: list[str] = []
        self.discarded: list[str] = []
        self.delete_error: str | None = None
        self.damage: tuple[str, ...] = ()


class ScriptedSupply:
    """Searches, looks, verifies and deletes, in a script."""

    knobs: SupplyKnobs

    async def _ask_hub(self) -> None:
        if self.knobs.hub_gate is not None:
            await self.knobs.hub_gate.wait()
        if self.knobs.hub_error is not None:
            raise EngineError(self.knobs.hub_error)

    async def search_hub(self, words, more=None) -> HubSearched:
        self.knobs.searched.append(words)
        await self._ask_hub()
        if more:
            return HubSearched(request=1, repositories=(MORE,))
        found = [
            one for one in self.knobs.repositories if all(w in one.repository.lower() for w in words.split())
        ]
        return HubSearched(request=1, repositories=tuple(found), more={"gguf": "2"} if found else None)

    async def look_at_hub(self, repository) -> HubOffered:
        await self._ask_hub()
        return HubOffered(
            request=1,
            repository=next(one for one in self.knobs.repositories if one.repository == repository),
            choices=self.knobs.choices,
            page=f"https://hub.example/{repository}",
            has_token=self.knobs.has_token,
            folder="/home/me/models",
            free_bytes=52_000_000_000,
        )

    async def verify(self, path, on_progress=None) -> Verified:
        if on_progress is not None:
            on_progress(Progress(request=1, what="checking", done=1, total=2, unit="bytes"))
        return Verified(request=1, checked=1, size=98_362_432, problems=self.knobs.damage, unknown=())

    async def delete(self, path, *, really) -> Deleted:
        if self.knobs.delete_error is not None:
            raise EngineError(self.knobs.delete_error)
        if really:
            self.knobs.deleted.append(path)
            self.knobs.found = tuple(one for one in self.knobs.found if one.path != path)
        return Deleted(request=1, size=98_362_432, files=1)

    async def discard(self, key) -> Deleted:
        size = next(one.done for one in self.knobs.unfinished if one.key == key)
        self.knobs.unfinished = tuple(one for one in self.knobs.unfinished if one.key != key)
        self.knobs.discarded.append(key)
        return Deleted(request=1, size=size, files=1)
