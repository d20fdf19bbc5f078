"""Everything on this machine that could be loaded, and why not where it cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from chatterm import inert
from chatterm.checkpoint.fetch.keeping import is_ours
from chatterm.checkpoint.files import read_json_if_there
from chatterm.checkpoint.folders import entries, expand
from chatterm.checkpoint.memory import available_memory, memory_needed, step_bytes
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.checkpoint.seen import Seen
from chatterm.checkpoint.sources import Candidate, candidates
from chatterm.errors import UserError
from chatterm.records.supply import FoundCheckpoint

__all__ = [
    "available_memory",
    "describe_candidate",
    "discover",
    "has_chat_template",
    "memory_needed",
]

LONGEST_LICENCE = 200
_TEMPLATE_KEY = "tokenizer.chat_template"


def discover(extra_folders: Iterable[Path] = (), packed: bool = False) -> list[FoundCheckpoint]:
    """Every checkpoint in chatterm's folders, the extra ones, the Hugging Face cache, Ollama and LM Studio.

    Reads headers only, and those only of what has changed since the last time. `packed`: weights
    will stay as small in memory as they are on disk (see `memory_needed`).
    """
    extra = tuple(expand(folder) for folder in extra_folders)
    seen = Seen.load(FoundCheckpoint, f"packed={packed}")
    found = []
    for candidate in candidates(extra):
        known = seen.recall(candidate.path)
        if known is None or candidate.problem is not None:
            known = describe_candidate(candidate, packed)
            if known.problem is None:  # what does not load is looked at again each time
                seen.remember(candidate.path, known)
        ours = is_ours(candidate.path)
        found.append(replace(known, name=inert.line(candidate.name), source=candidate.source, is_ours=ours))
    seen.save()
    return found


def describe_candidate(candidate: Candidate, packed: bool = False) -> FoundCheckpoint:
    """Open one candidate's headers; what is wrong with it becomes its `problem`."""
    unnamed = not _is_text(str(candidate.path))
    found = FoundCheckpoint(
        name=inert.line(candidate.name),
        path=inert.line(str(candidate.path)) if unnamed else str(candidate.path),
        source=candidate.source,
        format=candidate.format,
        file_bytes=_size(candidate.path),
    )
    if unnamed:
        return replace(found, problem="Its name is not UTF-8 text; give it another one.")
    if candidate.problem is not None:
        return replace(found, problem=f"{candidate.problem[0].upper()}{candidate.problem[1:]}.")
    try:
        checkpoint = open_checkpoint(candidate.path, vocabulary=False)
        return found_of(checkpoint, found.name, found.source, packed)
    except UserError as error:
        return replace(found, problem=inert.line(error.sentence))
    except Exception as error:  # a file that nobody foresaw must not hide all the others
        return replace(found, problem=f"It cannot be read ({type(error).__name__}).")


def found_of(checkpoint: Checkpoint, name: str, source: str, packed: bool) -> FoundCheckpoint:
    """An opened checkpoint in a list of found ones."""
    return FoundCheckpoint(
        name=name,
        path=str(checkpoint.path),
        source=source,
        format=checkpoint.format,
        file_bytes=checkpoint.file_bytes,
        family=checkpoint.family,
        parameters=checkpoint.parameters,
        quantisation=checkpoint.quantisation,
        trained_context=checkpoint.architecture.context,
        is_chat=has_chat_template(checkpoint),
        memory_bytes=memory_needed(checkpoint, packed),
        step_bytes=step_bytes(checkpoint, packed),
        licence=_licence(checkpoint),
    )


def _licence(checkpoint: Checkpoint) -> str:
    """What a GGUF file states; the file in a folder that holds the text."""
    if checkpoint.folder is not None:
        texts = [path for path in entries(checkpoint.folder) if path.stem.upper() in ("LICENSE", "LICENCE")]
        return inert.line(str(texts[0])) if texts and _is_text(str(texts[0])) else ""
    stated = [checkpoint.config.get(f"general.license{key}") for key in ("", ".name", ".link")]
    return " · ".join(inert.line(one[:LONGEST_LICENCE]) for one in stated if isinstance(one, str) and one)


def has_chat_template(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint brings a chat template of its own; a base model does not."""
    if checkpoint.folder is None:
        return any(key == _TEMPLATE_KEY or key.startswith(f"{_TEMPLATE_KEY}.") for key in checkpoint.config)
    folder = checkpoint.folder
    if (folder / "chat_template.jinja").is_file() or entries(folder / "additional_chat_templates"):
        return True
    settings: Mapping[str, object] = {}
    for name in ("chat_template.json", "tokenizer_config.json"):
        if not settings.get("chat_template"):
            settings = read_json_if_there(folder, name)
    return bool(settings.get("chat_template"))


def _is_text(path: str) -> bool:
    """Whether a path can be sent and shown: the system allows any bytes as names."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder."""
    sizes = 0
    for file in entries(path) or [path]:
        try:
            sizes += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return sizes
