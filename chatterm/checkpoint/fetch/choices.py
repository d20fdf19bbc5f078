"""What a repository of the hub offers to download: its safetensors checkpoint, and each of its GGUF files.

Before anything is fetched one can know how large it is, what it takes to run, and whether it would run at
all: the shapes come from `config.json`, or from the first bytes of a GGUF file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chatterm import inert
from chatterm.checkpoint import folders
from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.catalog import HubSource, find_entry
from chatterm.checkpoint.families import BY_GGUF_ARCHITECTURE
from chatterm.checkpoint.families.refused import refuse_config, refuse_gguf
from chatterm.checkpoint.fetch.hub import Hub, HubError, Listing, Sibling, connect, plainly, select
from chatterm.checkpoint.fetch.repository import facts_of, shortened
from chatterm.checkpoint.fetch.web import RefusedError, Timeouts, UnreachableError
from chatterm.checkpoint.gguf import GGUFFile, peek
from chatterm.checkpoint.gguf_architecture import gguf_architecture
from chatterm.checkpoint.json_config import read_json_config
from chatterm.checkpoint.memory import STAYS_PACKED, TILE_BITS, memory_around
from chatterm.errors import UserError
from chatterm.records.supply import HubChoice, HubRepository

HEAD_BYTES = 64 << 10
"""Of a GGUF file: its settings stand in front of its vocabulary."""

MAX_CONFIG_BYTES = 4 << 20
MOST = 200
_TWIN = "Another file of this repository is called the same, and takes its place; put this one there by hand."
_NOT_MODELS = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_DIGITS = re.compile(r"(?:i|t)?q(\d)|[bf]f?(?:p)?(16|32)|mxfp(4)")


@dataclass(frozen=True)
class Offer:
    """A repository and everything in it that can be fetched, and whether the hub knows who asks."""

    facts: HubRepository
    choices: tuple[HubChoice, ...]
    page: str  # its address
    has_token: bool


def look(
    repository: str,
    packed: bool,
    *,
    check: Callable[[], None] = lambda: None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> Offer:
    """What a repository offers. `packed`: weights stay as small in memory as they are on disk.

    Raises:
        HubError: the hub cannot be reached, refuses, or the repository holds nothing that loads.
    """
    known = find_entry(repository)
    source = HubSource(repository) if known is None else known.hub
    hub = connect(f"{repository} cannot be looked up:", timeouts, check)
    with plainly(hub, source):
        content = hub.raw_listing(source)
        listing = hub.parsed(content)
        facts = facts_of({"id": source.repository} | _plain(content))
        if facts is None:
            raise UnreachableError("its answer makes no sense")
        choices = _choices(hub, listing, source, facts, packed)
    if not choices:
        select(listing, source, None, hub.endpoint)  # its refusal says what is in there instead
    return Offer(facts, choices, f"{hub.endpoint}/{source.repository}", hub.client.token is not None)


def _plain(content: bytes) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        raise UnreachableError("its answer makes no sense") from None
    return raw if isinstance(raw, dict) else {}


def _choices(
    hub: Hub, listing: Listing, source: HubSource, facts: HubRepository, packed: bool
) -> tuple[HubChoice, ...]:
    found = []
    whole = _whole(hub, listing, source, facts, packed)
    if whole is not None:
        found.append(whole)
    groups = _groups(listing.siblings)
    if groups:
        first = min(groups.values(), key=lambda parts: parts[0].size or 0)[0]
        metadata, problem = _gguf_head(hub, listing, source, first)
        shape = _gguf_shape(metadata, first.path)
        weights = facts.parameters if len({_model(path) for path in groups}) == 1 else None
        names = _names(list(groups))
        called: set[str] = set()
        for path, parts in list(groups.items())[:MOST]:
            size = sum(part.size or 0 for part in parts)
            quantisation = folders.quantisation_in(_stem(path))
            held = _held(size, quantisation, weights)
            twin = _TWIN if Path(path).name in called else ""
            called.add(Path(path).name)
            found.append(
                HubChoice(
                    name=f"{source.repository}:{names[path]}",
                    label=shortened(f"{_stem(path)}.gguf"),
                    format="gguf",
                    size=size,
                    files=len(parts),
                    quantisation=quantisation.upper() if quantisation else None,
                    bits=8 * size / weights if weights else _nominal(quantisation),
                    memory=memory_around(held, shape) if shape is not None else None,
                    step_bytes=held,
                    problem=problem or twin,
                )
            )
    return tuple(found)


# --- the safetensors checkpoint -------------------------------------------------------------------------


def _held(size: int, quantisation: str | None, weights: int | None) -> int:
    """Bytes in memory of a file of that size."""
    if not weights:
        return size
    if not _stays_packed(quantisation):
        return 4 * weights
    return max(size, int(weights * TILE_BITS.get((quantisation or "").upper(), 0) / 8))


def _stays_packed(quantisation: str | None) -> bool:
    """Whether weights of a file so called stay as small in memory; Q4_K_M is Q4_K and some larger ones."""
    return quantisation is None or "_".join(quantisation.upper().split("_")[:2]) in STAYS_PACKED


def _whole(
    hub: Hub, listing: Listing, source: HubSource, facts: HubRepository, packed: bool
) -> HubChoice | None:
    try:
        files = select(listing, source, None, hub.endpoint)
    except HubError:
        return None
    config = _config(hub, listing, source)
    problem, shape = "", None
    if config is not None:
        try:
            refuse_config(config, "It")
            shape = read_json_config(config, "config.json")
        except UserError as error:
            problem = shortened(f"{error.sentence.split(';')[0].rstrip('.')}.")
    weights = sum(file.size for file in files if file.name.endswith(".safetensors"))
    parameters = facts.parameters if "safetensors" in facts.formats else None
    held = weights if packed or not parameters else 4 * parameters
    return HubChoice(
        name=source.repository,
        label="safetensors",
        format="safetensors",
        size=sum(file.size for file in files),
        files=len(files),
        bits=8 * weights / parameters if parameters else None,
        memory=memory_around(held, shape) if shape is not None else None,
        step_bytes=held - _untied_embedding(shape, config, held, parameters),
        problem=problem,
    )


def _untied_embedding(
    shape: Architecture | None, config: dict[str, Any] | None, held: int, parameters: int | None
) -> int:
    """Bytes of an embedding of its own, of which a step reads one row only."""
    if shape is None or config is None or not parameters or config.get("tie_word_embeddings") is not False:
        return 0
    return int(held * min(1.0, shape.vocabulary * shape.width / parameters))


def _config(hub: Hub, listing: Listing, source: HubSource) -> dict[str, Any] | None:
    """`config.json` as it is; None where it cannot be had, which is no reason to show nothing."""
    try:
        url = hub.address(source, listing.commit, "config.json")
        content = hub.client.read_all(url, MAX_CONFIG_BYTES, seconds=hub.client.timeouts.connect)
        config = msgspec.json.decode(content)
    except (UnreachableError, RefusedError, msgspec.MsgspecError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


# --- GGUF files -----------------------------------------------------------------------------------------


def _groups(siblings: list[Sibling]) -> dict[str, list[Sibling]]:
    """The GGUF files that are models, each under the path of its first part with all its parts."""
    by_path = {sibling.path: sibling for sibling in siblings}
    groups = {}
    for path in sorted(by_path):
        name = path.rsplit("/", 1)[-1]
        if not path.lower().endswith(".gguf") or _NOT_MODELS.search(name):
            continue
        numbers = folders.shard_numbers(name) or (1, 1)
        if numbers[0] != 1 or numbers[1] > 1000 or not path.isprintable():
            continue
        folder = path[: -len(name)]
        paths = (
            [folder + folders.shard_name(Path(name), number) for number in range(1, numbers[1] + 1)]
            if numbers[1] > 1
            else [path]
        )
        parts = [by_path[part] for part in paths if part in by_path]
        if len(parts) == len(paths) and all(part.size is not None and part.size >= 0 for part in parts):
            groups[path] = parts
    return dict(sorted(groups.items(), key=lambda item: sum(part.size or 0 for part in item[1])))


def _stem(path: str) -> str:
    return folders.without_shard(Path(path).name[: -len(".gguf")])


def _model(path: str) -> str:
    """What a file is called but for its quantisation: one repository may hold several models."""
    return folders.without_quantisation(_stem(path)).lower()


def _names(paths: list[str]) -> dict[str, str]:
    """What picks each file: its quantisation, its name or its whole path, the first that is clear."""
    kinds = Counter((folders.quantisation_in(_stem(path)) or "").upper() for path in paths)
    stems = Counter(_stem(path) for path in paths)
    names = {}
    for path in paths:
        kind = (folders.quantisation_in(_stem(path)) or "").upper()
        stem = _stem(path)
        names[path] = kind if kind and kinds[kind] == 1 else stem if stems[stem] == 1 else path
    return names


def _nominal(quantisation: str | None) -> float | None:
    found = _DIGITS.search(quantisation or "")
    return float(next(group for group in found.groups() if group)) if found else None


def _gguf_head(hub: Hub, listing: Listing, source: HubSource, sibling: Sibling) -> tuple[dict[str, Any], str]:
    """The settings of a GGUF file, and why it would not load; nothing where it cannot be had."""
    try:
        url = hub.address(source, listing.commit, sibling.path)
        wanted = {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
        with hub.client.open(url, headers=wanted, seconds=hub.client.timeouts.connect) as response:
            head = b""
            while len(head) < HEAD_BYTES and (chunk := hub.client.read_some(response, HEAD_BYTES)):
                head += chunk
        metadata = peek(head, inert.line(sibling.path))
    except (UnreachableError, RefusedError, UserError):
        return {}, ""
    if "general.architecture" not in metadata:
        return metadata, ""
    try:
        refuse_gguf(metadata, "It")
    except UserError as error:
        return metadata, shortened(f"{error.sentence.split(';')[0].rstrip('.')}.")
    return metadata, ""


def _gguf_shape(metadata: dict[str, Any], path: str) -> Architecture | None:
    family = BY_GGUF_ARCHITECTURE.get(str(metadata.get("general.architecture")))
    if family is None:
        return None
    kind = str(metadata["general.architecture"])
    try:
        return gguf_architecture(GGUFFile(Path(path), (), 3, metadata, {}), kind, family)
    except UserError:
        return None
