"""The edits of the model that the user has listed, and which of them are in force."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import msgspec

from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.records.generation import ModelInfo
from chatterm.records.inspection import (
    AnyEdit,
    ApplyEdits,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    ScaleNeuron,
    Steer,
)

FORMS = mark("head 7.3, mlp 4, block 5 or neuron 12.104; with “x 0.5” behind it, scaled instead of off")
_WRITTEN = re.compile(
    r"(?P<part>head|mlp|ffn|feed-forward|block|neuron)[ :]*(?P<layer>\d{1,9})(?:[.](?P<number>\d{1,9}))?"
    r"(?:\s*[x×*=]\s*(?P<scale>-?\d{1,9}(?:[.]\d{1,9})?))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """One line of the list."""

    edit: AnyEdit
    on: bool = True


def parse(text: str) -> AnyEdit:
    """An edit as people write it: `head 7.3`, `mlp:4`, `block 5 x 0.5`, `neuron 12.104`.

    Raises:
        UserError: it cannot be read.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise UserError(
            _("“{text}” is not an edit; write {forms}.").format(text=text.strip(), forms=_(FORMS))
        )
    part, layer = found["part"].lower(), int(found["layer"])
    number = int(found["number"]) if found["number"] is not None else None
    scale = float(found["scale"]) if found["scale"] is not None else 0.0
    if part in ("head", "neuron"):
        if number is None:
            sentence = _("Which {part} of layer {layer}? Write it like “{part} {layer}.3”.")
            raise UserError(sentence.format(part=part, layer=layer))
        return ScaleHead(layer, number, scale) if part == "head" else ScaleNeuron(layer, number, scale)
    if number is not None:
        sentence = _("“{text}” has a number too many; write it like “{part} {layer}”.")
        raise UserError(sentence.format(text=text.strip(), part=part, layer=layer))
    return ScaleBlock(layer, scale) if part == "block" else ScaleFeedForward(layer, scale)


def words(edit: AnyEdit) -> str:
    """An edit in a few words: `head 7.3 off`, `block 5 × 0.5`; what may be cut comes last."""
    match edit:
        case ScaleHead():
            part = _("head {name}").format(name=f"{edit.layer}.{edit.head}")
        case ScaleFeedForward():
            part = _("feed-forward {layer}").format(layer=edit.layer)
        case ScaleBlock():
            part = _("block {layer}").format(layer=edit.layer)
        case ScaleNeuron():
            part = _("neuron {name}").format(name=f"{edit.layer}.{edit.neuron}")
        case Steer():
            return _("steered × {strength} after block {layer}: “{away}” → “{toward}”").format(
                layer=edit.layer, away=edit.away, toward=edit.toward, strength=f"{edit.strength:g}"
            )
    return _("{part} off").format(part=part) if edit.scale == 0 else f"{part} × {edit.scale:g}"


def same_part(one: AnyEdit, other: AnyEdit) -> bool:
    """Whether both are about the same part of the model."""
    if isinstance(one, Steer) or isinstance(other, Steer):
        return isinstance(one, Steer) and isinstance(other, Steer) and _at(one) == _at(other)
    return type(one) is type(other) and _at(one) == _at(other)


def _at(edit: AnyEdit) -> AnyEdit:
    return msgspec.structs.replace(edit, **{"strength" if isinstance(edit, Steer) else "scale": 0.0})


def scaled(edit: AnyEdit, by: float) -> AnyEdit:
    """The edit, stronger or weaker."""
    if isinstance(edit, Steer):
        return msgspec.structs.replace(edit, strength=round(edit.strength + by, 2))
    return msgspec.structs.replace(edit, scale=round(edit.scale + by, 2))


class EditList:
    """What is listed, what is in force, and why the last change was refused (`trouble`).

    Edits belong to the engine that was told of them; another model begins without any.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.in_force: tuple[AnyEdit, ...] = ()
        self.described: tuple[str, ...] = ()
        self.trouble = ""
        self._engine: Engine | None = None
        self._model: ModelInfo | None = None

    @property
    def wanted(self) -> tuple[AnyEdit, ...]:
        """Those that are switched on in the list."""
        return tuple(entry.edit for entry in self.entries if entry.on)

    @property
    def pending(self) -> bool:
        """Whether the list says something else than what is in force."""
        return self.wanted != self.in_force

    def add(self, edit: AnyEdit) -> int:
        """Take an edit into the list, in the place of one of the same part; its line."""
        for line, entry in enumerate(self.entries):
            if same_part(entry.edit, edit):
                self.entries[line] = Entry(edit)
                return line
        self.entries.append(Entry(edit))
        return len(self.entries) - 1

    def switch(self, edit: AnyEdit) -> None:
        """Make this edit, or take it back if one of the same part is in the list and on."""
        for line, entry in enumerate(self.entries):
            if same_part(entry.edit, edit):
                self.entries[line] = replace(entry, on=not entry.on)
                return
        self.entries.append(Entry(edit))

    def flip(self, line: int) -> None:
        """Switch a line on or off; it stays in the list."""
        self.entries[line] = replace(self.entries[line], on=not self.entries[line].on)

    def scale(self, line: int, by: float) -> None:
        """Make a line stronger or weaker."""
        self.entries[line] = Entry(scaled(self.entries[line].edit, by))

    def remove(self, line: int) -> None:
        """Take a line out."""
        del self.entries[line]

    def all_off(self) -> None:
        """The model as it is; the list stays."""
        self.entries = [replace(entry, on=False) for entry in self.entries]

    def other_engine(self, engine: Engine | None) -> bool:
        """Notice that another engine answers, which knows no edits; whether anything was in force.

        The same model in a new engine is edited again by `apply`; for another model all lines are off.
        """
        if engine is self._engine:
            return False
        self._engine = engine
        info = engine.info if engine is not None else None
        if info is not None:
            if self._model is not None and info.path != self._model.path:
                self.all_off()
            self._model = info
        self.trouble = ""
        was, self.in_force, self.described = self.in_force, (), ()
        return bool(was)

    async def apply(self, engine: Engine) -> bool:
        """Let `engine` compute with what is switched on; whether something else is in force now."""
        before = self.in_force
        self.trouble = ""
        while self.pending:
            wanted = self.wanted
            try:
                answer = await engine.inspect(ApplyEdits(wanted))
            except (EngineError, EngineDiedError) as error:
                self.trouble = error.sentence
                self.entries = [replace(e, on=e.on and e.edit in self.in_force) for e in self.entries]
                missing = [edit for edit in self.in_force if edit not in self.wanted]
                self.entries += [Entry(edit) for edit in missing]
                self.in_force = self.wanted
                break
            if engine is not self._engine:
                break
            self.in_force, self.described = wanted, answer.described
        return self.in_force != before
