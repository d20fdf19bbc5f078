"""The chat template of an opened checkpoint, whatever its format."""

from __future__ import annotations

from chatterm.checkpoint.dialogue import PlainDialogue
from chatterm.checkpoint.template.sources import TemplateSource, template_in_folder, template_in_gguf
from chatterm.checkpoint.template.template import ChatTemplate
from chatterm.checkpoint.thinking import thinking_markers
from chatterm.checkpoint.tokenizer.load import OpenCheckpoint
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer


def load_template(checkpoint: OpenCheckpoint, tokenizer: Tokenizer) -> ChatTemplate | PlainDialogue:
    """The checkpoint's own chat template; for a base model, which has none, the plain dialogue.

    Raises:
        UserError: the template is there and cannot be read.
    """
    found: TemplateSource | None = None
    if checkpoint.gguf is not None:
        found = template_in_gguf(checkpoint.gguf.metadata)
    elif checkpoint.folder is not None:
        found = template_in_folder(checkpoint.folder)
    return PlainDialogue() if found is None else chat_template(found, tokenizer)


def chat_template(found: TemplateSource, tokenizer: Tokenizer) -> ChatTemplate:
    """The template `found`, for a vocabulary.

    Raises:
        UserError: it is no valid template.
    """
    markers = thinking_markers(found.text, lambda name: tokenizer.id_of(name) is not None)
    return ChatTemplate(found.text, found.source, tokenizer.names, thinking=markers)
