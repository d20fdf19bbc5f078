"""Presets in the chat: what is in force as one, and one in force."""

from __future__ import annotations

from chatterm.chat.session import ChatSession
from chatterm.presets import Preset, save_preset
from chatterm.sampling import SamplingParameters


def apply(session: ChatSession, preset: Preset) -> None:
    """Talk with a preset from now on, in this conversation.

    Raises:
        UserError: one of its values cannot be used; nothing has changed then.
    """
    preset.over(SamplingParameters())
    if preset.sampling:
        session.change(**preset.sampling)
    if preset.system_prompt is not None:
        session.system_prompt = preset.system_prompt


def in_force(session: ChatSession, name: str, description: str = "") -> Preset:
    """The system prompt and the values that differ from the checkpoint's own, under a name."""
    values, start = session.values.to_keep, session.values.start
    sampling = {
        field: getattr(values, field)
        for field in SamplingParameters.__struct_fields__
        if getattr(values, field) != getattr(start, field)
        and (field != "seed" or session.values.seed_is_chosen)
    }
    return Preset(name=name, description=description, system_prompt=session.system_prompt, sampling=sampling)


def save(session: ChatSession, name: str, *, replace: bool = False) -> Preset:
    """Save what is in force.

    Raises:
        UserError: the name cannot be used or is taken, or it cannot be saved.
    """
    preset = in_force(session, name.strip())
    save_preset(preset, replace=replace)
    return preset
