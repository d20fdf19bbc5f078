"""Raw text and its tokens: what was not edited keeps the tokens that it had."""

from __future__ import annotations

import re
from itertools import pairwise

from chatterm import inert
from chatterm.engine.messages import Rendered
from chatterm.engine.protocol import Engine
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui.reading import CONTROL


class RawText:
    """A rendered conversation that can be edited and cut into tokens again.

    The control tokens that stand in it divide the text into stretches. A stretch that stands in the original
    keeps its tokens; any other is cut anew, in which control tokens other than those would be plain text.
    """

    def __init__(self, rendered: Rendered) -> None:
        self.text = rendered.text
        self.tokens = rendered.tokens
        self._control = {token.text: token.id for token in rendered.tokens if CONTROL.fullmatch(token.text)}
        places = [-1, *(n for n, t in enumerate(self.tokens) if t.text in self._control), len(self.tokens)]
        self._stretches: dict[str, list[tuple[int, str]]] = {}
        for before, after in pairwise(places):
            inside = self.tokens[before + 1 : after]
            if inside:
                text = rendered.text[inside[0].start : inside[-1].end]
                self._stretches[text] = [(token.id, inert.token(token.text)) for token in inside]

    async def cut(self, engine: Engine, text: str) -> list[tuple[int, str]]:
        """The tokens of an edited text: ids, and the texts as they are shown.

        Raises:
            UserError: there is no text, or the engine cannot say.
        """
        if not text:
            raise UserError(_("There is no text that the model could go on from."))
        found: list[tuple[int, str]] = []
        if text == self.text:
            return [(token.id, inert.token(token.text)) for token in self.tokens]
        names = sorted(self._control, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
        for part in parts:
            if part in self._control:
                found.append((self._control[part], part))
            elif part in self._stretches:
                found += self._stretches[part]
            elif part:
                found += [(t.id, inert.token(t.text)) for t in (await engine.tokenize(part)).tokens]
        return found
