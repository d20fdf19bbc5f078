"""One place in the conversation at which a token came: what every panel of the glass box looks at."""

from __future__ import annotations

from dataclasses import dataclass

from chatterm.records.generation import Tokens


@dataclass(frozen=True)
class Moment:
    """The step that chose one token.

    Attributes:
        before: the tokens that the model had read; never empty.
        token: the token that came then, or None where nothing has come yet.
        text: of that token alone, as the tokenizer has it; foreign text, to be made inert.
        position: of that token in the model's context; the prompt starts at 0.
        model: the name of the checkpoint that read them; it is the one that is loaded.
    """

    before: tuple[int, ...]
    token: int | None
    text: str
    position: int
    model: str

    @property
    def prompt(self) -> Tokens:
        """What to ask the engine about: the last token that was read is the one whose step is looked at."""
        return Tokens(self.before)
