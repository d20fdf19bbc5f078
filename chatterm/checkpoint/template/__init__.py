"""Chat templates: messages to the exact text, and the exact tokens, that a model was trained on."""

from __future__ import annotations

from chatterm.checkpoint.dialogue import PlainDialogue
from chatterm.checkpoint.template.encode import EncodedPrompt, encode_chat
from chatterm.checkpoint.template.load import chat_template, load_template
from chatterm.checkpoint.template.messages import ChatMessage, Rendered
from chatterm.checkpoint.template.sources import TemplateSource, template_in_folder, template_in_gguf
from chatterm.checkpoint.template.template import ChatTemplate
from chatterm.checkpoint.thinking import ThinkingMarkers

__all__ = [
    "ChatMessage",
    "ChatTemplate",
    "EncodedPrompt",
    "PlainDialogue",
    "Rendered",
    "TemplateSource",
    "ThinkingMarkers",
    "chat_template",
    "encode_chat",
    "load_template",
    "template_in_folder",
    "template_in_gguf",
]
