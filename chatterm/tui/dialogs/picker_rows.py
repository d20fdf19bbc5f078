"""The rows of the model picker: what lies here, what is on its way, what the hub and the catalog have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len
from textual.content import Content

from chatterm import inert
from chatterm.chat.downloads import Download
from chatterm.checkpoint.catalog import CatalogEntry
from chatterm.engine.messages import Discovered
from chatterm.language import _, mark
from chatterm.records.supply import FoundCheckpoint, HubRepository
from chatterm.tui.text import bars, models

Kind = Literal["heading", "words", "here", "download", "repository", "more", "search", "open", "catalog"]
PROGRESS_BAR = 16

STATES = {
    "waiting": mark("waiting for the other downloads"),
    "paused": mark("paused"),
    "failed": mark("failed"),
    "done": mark("done"),
    "elsewhere": mark("another process is downloading it"),
}


@dataclass(frozen=True)
class Row:
    """One row; `key` and `kind` say what it stands for, `text` is what a filter looks at."""

    kind: Kind
    key: str
    content: Content
    about: str = ""
    can_choose: bool = True
    text: str = ""
    thing: object = field(default=None, compare=False)

    @property
    def id(self) -> str | None:
        """Of its option in the list; headings and sentences have none."""
        return f"{self.kind}:{self.key}" if self.kind not in ("heading", "words") else None


def heading(text: str, note: str = "") -> Row:
    """The title of a section."""
    content = Content.styled(text, "bold")
    if note:
        content += Content.styled(f" · {note}", "$muted")
    return Row("heading", text, content, can_choose=False)


def words(text: str) -> Row:
    """A sentence in the place of rows."""
    return Row("words", text, Content(f"  {inert.line(text)}"), can_choose=False)


def here(checkpoint: FoundCheckpoint, machine: Discovered, *, loaded: bool, width: int) -> Row:
    """A checkpoint on this machine."""
    name = f"{'●' if loaded else ' '} {inert.line(checkpoint.name)}"
    facts = [
        checkpoint.family or "",
        bars.parameters(checkpoint.parameters) if checkpoint.parameters else "",
        checkpoint.quantisation or checkpoint.format,
        "" if checkpoint.is_chat is not False else _("base model"),
        models.fit(checkpoint.memory_bytes, machine),
        models.speed(checkpoint.step_bytes, machine),
        checkpoint.source,
    ]
    if checkpoint.problem is not None:
        facts = [checkpoint.problem.replace(checkpoint.path, "it").removeprefix("it: ")]
    reason = models.speed_reason(checkpoint.step_bytes, machine) if checkpoint.problem is None else ""
    return Row(
        "here",
        checkpoint.path,
        two_lines(name, bars.size(checkpoint.file_bytes), facts, width),
        about="\n".join(filter(None, (inert.line(checkpoint.path), reason))),
        can_choose=checkpoint.problem is None,
        text=" ".join((checkpoint.name, checkpoint.path, *facts)),
        thing=checkpoint,
    )


def download(one: Download, width: int) -> Row:
    """A download and how far it is."""
    share = one.share
    amount = bars.size(one.done)
    if one.total:
        amount = _("{done} of {total}").format(done=bars.size(one.done), total=bars.size(one.total))
    facts = []
    if one.state == "running":
        progress = one.progress
        bar = f"▕{bars.bar(share, PROGRESS_BAR)}▏{share:.0%}" if share is not None else _("asking the hub …")
        facts.append(bar)
        if progress is not None and progress.per_second:
            facts.append(f"{bars.size(progress.per_second)}/s")
        if progress is not None and progress.remaining is not None:
            facts.append(_("{time} left").format(time=bars.duration(progress.remaining)))
    else:
        facts.append(_(STATES[one.state]) + (f" · {share:.0%}" if share and one.state == "paused" else ""))
        facts.append(one.sentence)
    sign = {"running": "↓", "done": "✓", "failed": "✗"}.get(one.state, "‖")
    name = inert.line(one.name or one.key)
    return Row(
        "download",
        one.name or one.key,
        two_lines(f"{sign} {name}", amount, facts, width),
        about=inert.line(one.sentence or (one.progress.what if one.progress is not None else "")),
        text=f"{one.name} {one.key}",
        thing=one,
    )


def repository(found: HubRepository, width: int) -> Row:
    """A repository of the hub."""
    facts = models.repository_facts(found)
    if found.problem:
        facts.insert(0, _("does not run"))
    return Row(
        "repository",
        found.repository,
        two_lines(f"⌕ {inert.line(found.repository)}", models.popularity(found), facts, width),
        about=found.problem
        or _("Enter shows its files, their sizes and its licence; nothing is fetched yet."),
        text=f"{found.repository} {' '.join(facts)}",
        thing=found,
    )


def more() -> Row:
    """The next page of what the hub found."""
    return Row("more", "", Content(_("… more from the hub")))


def search(typed: str) -> Row:
    """An offer to search the hub."""
    shown = inert.line(typed)
    return Row(
        "search",
        typed,
        Content(_("⌕ Search the hub for “{words}” (tab)").format(words=shown)),
        about=_("Only this asks over the network; what is typed here stays here."),
    )


def open_(name: str) -> Row:
    """An offer to open a repository whose id was typed."""
    return Row("open", name, Content(_("⌕ Open {name} on the hub").format(name=inert.line(name))))


def entry(known: CatalogEntry, width: int) -> Row:
    """An entry of the catalog."""
    kind = _("chat") if known.kind == "chat" else _("base model, for looking inside")
    facts = [bars.parameters(known.parameters), kind, known.licence]
    if known.hub.gated:
        facts.append(_("its licence must be accepted on the hub first"))
    return Row(
        "catalog",
        known.name,
        two_lines(f"↓ {known.title}", models.download_size(known), facts, width),
        about=f"{_(known.description)} {known.licence_url}",
        text=" ".join((known.name, known.title, known.hub.repository, known.family, *known.aliases, *facts)),
        thing=known,
    )


def two_lines(name: str, size: str, facts: list[str], width: int) -> Content:
    """The name with the size at its right, and under it the facts that are known."""
    line = inert.line(" · ".join(fact for fact in facts if fact))
    return (
        Content(bars.fit(name, width - cell_len(size) - 1))
        + Content(f" {size}\n")
        + Content.styled(f"  {bars.fit(line, width - 2).rstrip()}", "$muted")
    )


def matches(row: Row, typed: str) -> bool:
    """Whether a row speaks of all the words."""
    text = row.text.lower()
    return all(word in text for word in typed.lower().split())
