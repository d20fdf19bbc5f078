"""The one tokenizer class: text to token ids and back, for every kind of vocabulary."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import tokenizers
from tokenizers import AddedToken

from chatterm.checkpoint.alarm import tokenizing
from chatterm.checkpoint.tokenizer.growth import ORDINARY, Growth, check_growth
from chatterm.checkpoint.tokenizer.outline import broken_tokenizer
from chatterm.checkpoint.tokenizer.pieces import byte_fallback_bytes, byte_level_bytes, visible
from chatterm.checkpoint.tokenizer.stream import TextStream

Kind = Literal["byte-level", "sentencepiece"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOTHING = -1
CHARACTERS_PER_SECOND = 20_000
"""A hundredth of what a slow machine cuts into tokens."""

_FEW_NAMES = 1024  # up to here, searching for each name is faster than tokenizing


class TokenSpan(NamedTuple):
    """A token and the characters of the encoded text that it stands for."""

    id: int
    start: int
    end: int


class Tokenizer:
    """Text to token ids and back.

    Attributes:
        kind: how ids stand for bytes: "byte-level" (GPT-2's byte alphabet) or "sentencepiece" (U+2581 for
            a space, and bytes by name where the vocabulary has them).
        vocabulary: one more than the largest id.
        bos_id: the token that begins a text, or None.
        adds_bos: whether a plain text is meant to begin with it.
        end_ids: tokens that end a reply.
        names: the special tokens by role ("bos_token", "eos_token" …), for templates.
        source: the file or key that it was read from.
        begins: the tokens that a plain text begins with, `bos_id` first; none unless `adds_bos`.
        notices: sentences for the user about what is odd in the vocabulary.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        kind: Kind,
        vocabulary: int,
        control: Iterable[int],
        protected: Iterable[int],
        bos_id: int | None,
        adds_bos: bool,
        end_ids: Iterable[int],
        strips_space: bool,
        prepends_space: bool,
        names: Mapping[str, str],
        source: str,
        growth: Growth = ORDINARY,
        begins: Sequence[int] | None = None,
        notices: tuple[str, ...] = (),
    ) -> None:
        self._backend = backend
        self._growth = growth
        self.kind = kind
        self.vocabulary = vocabulary
        self.bos_id = bos_id
        self.adds_bos = adds_bos and bos_id is not None
        usual = () if bos_id is None or not adds_bos else (bos_id,)
        self.begins = usual if begins is None else tuple(begins)
        self.notices = notices
        self.end_ids = frozenset(end_ids)
        self.names = dict(names)
        self.source = source
        self._control = frozenset(control)
        self._protected = self._control | frozenset(protected)
        self._strips_space = strips_space
        self._prepends_space = prepends_space
        self._added = backend.get_added_tokens_decoder()
        self._marks: dict[tuple[bool, bool, bool] | None, str] = {}
        self._bytes: dict[int, bytes] = {}
        self._pieces: dict[int, str] = {}

    # --- text to ids ------------------------------------------------------------------------------------

    def encode(self, text: str, *, special: bool = False, add_bos: bool = False) -> list[int]:
        """The ids of `text`.

        With `special`, names of control tokens in the text become those tokens; without, they stay text, and
        so do thinking markers. With `add_bos`, the beginning token goes first if this vocabulary wants one
        and the text does not have it.
        """
        return [token.id for token in self.encode_spans(text, special=special, add_bos=add_bos)]

    def encode_spans(self, text: str, *, special: bool = False, add_bos: bool = False) -> list[TokenSpan]:
        """As `encode`, with character offsets into `text`; tokens of one character share its offsets."""
        spans = self._encode(text, special=special)
        return self.with_bos(spans) if add_bos else spans

    def with_bos(self, spans: list[TokenSpan]) -> list[TokenSpan]:
        """The tokens with what a text begins with in front, if this vocabulary wants it and it is missing."""
        if not self.begins or (spans and spans[0].id == self.begins[0]):
            return spans
        return [*(TokenSpan(token, 0, 0) for token in self.begins), *spans]

    def encode_marked(self, text: str, own: Sequence[TokenSpan]) -> list[TokenSpan]:
        """The ids of `text` where exactly the characters at `own` are the control tokens given there.

        Every other name of a control token in the text stays text.
        """
        marks = [self._mark(span.id) for span in own]
        return self._encode_with(text, own, marks, special=False)

    def _encode(self, text: str, *, special: bool) -> list[TokenSpan]:
        complaint = f"The tokenizer in {self.source} cannot cut this text into tokens"
        with broken_tokenizer(complaint), tokenizing(len(text) / CHARACTERS_PER_SECOND):
            return self._cut_into_tokens(text, special=special)

    def _cut_into_tokens(self, text: str, *, special: bool) -> list[TokenSpan]:
        self._backend.encode_special_tokens = not special
        text = _SURROGATE.sub("\ufffd", text)
        begin = self._blank_start(text)
        space = int(
            self._prepends_space and text != "" and not self._begins_with_added(text, special=special)
        )
        check_growth(text, self._backend.normalizer, self._growth)
        encoding = self._backend.encode(" " * space + text[begin:], add_special_tokens=False)
        offsets, shift = encoding.offsets, begin - space
        if shift:
            offsets = [(max(0, start + shift), end + shift) for start, end in offsets]
        spans = [TokenSpan(id_, start, end) for id_, (start, end) in zip(encoding.ids, offsets, strict=True)]
        return spans if special or self._protected.isdisjoint(encoding.ids) else self._cut(text, spans)

    def _blank_start(self, text: str) -> int:
        """How many characters at the start of `text` come to nothing in a vocabulary that strips texts.

        The pre-tokenizer looks at offsets to know the first word, so they have to go before.
        """
        normalizer = self._backend.normalizer
        if normalizer is None or normalizer.normalize_str(" ") != "":
            return 0
        count = 0
        while count < len(text) and normalizer.normalize_str(text[count]) == "":
            count += 1
        return count

    def _begins_with_added(self, text: str, *, special: bool) -> bool:
        """Whether the text begins with an added token, which takes no space before it."""
        names = self._added_names if special else self._added_text_names
        return text.startswith((*names, *self._marks.values()))

    def _cut(self, text: str, spans: list[TokenSpan]) -> list[TokenSpan]:
        """Encodes `text` again, cut inside every control token that merging made of plain text.

        Happens with `tokenizer.json` files whose merges were derived from scores that include control tokens.
        """
        cuts = [
            TokenSpan(_NOTHING, span.start + 1, span.start + 1)
            for span in spans
            if span.id in self._protected
            and text[span.start : span.end] == self._backend.id_to_token(span.id)
        ]
        if not cuts or self._mark(_NOTHING) in text:
            return spans
        cut = self._encode_with(text, cuts, [self._mark(_NOTHING)] * len(cuts), special=False)
        return [span for span in cut if span.id != _NOTHING]

    def _encode_with(
        self, text: str, own: Sequence[TokenSpan], marks: Sequence[str], *, special: bool
    ) -> list[TokenSpan]:
        """Encodes `text` with `marks` in the places of `own`, and puts `own` back for them."""
        parts, position = [], 0
        for span, mark in zip(own, marks, strict=True):
            parts += [text[position : span.start], mark]
            position = span.end
        ids = {self._backend.token_to_id(mark) for mark in marks}
        result, index, shift = [], 0, 0
        for found in self._encode("".join([*parts, text[position:]]), special=special):
            if found.id in ids:
                target = own[index]
                shift += target.end - target.start - len(marks[index])
                index += 1
                result.append(target)
            else:
                result.append(TokenSpan(found.id, found.start + shift, found.end + shift))
        return result

    def _mark(self, token: int) -> str:
        """A private added token that stands for a control token, stripping the space around it as that does.

        Its name is random, so that no text can hold it by design.
        """
        added = self._added.get(token)
        flags = (added.lstrip, added.rstrip, added.single_word) if added else None
        if flags not in self._marks:
            self._marks[flags] = mark = f"\U0010fffe{secrets.token_hex(16)}\U0010ffff"
            lstrip, rstrip, single_word = flags or (False, False, False)
            name = AddedToken(mark, lstrip=lstrip, rstrip=rstrip, single_word=single_word, normalized=False)
            with tokenizing():  # the library normalizes all added tokens anew
                self._backend.add_tokens([name])
        return self._marks[flags]

    # --- ids to text ------------------------------------------------------------------------------------

    def decode(self, ids: Sequence[int], *, skip_special: bool = True, strip: bool | None = None) -> str:
        """The text of `ids`.

        With `skip_special`, control tokens are left out. Bytes that are no UTF-8 read U+FFFD. `strip` takes
        one leading space off; None does so for vocabularies that put one before every text. Say False where
        the ids continue an earlier text.
        """
        stream = self.stream(skip_special=skip_special, strip=strip)
        return "".join([*map(stream.push, ids), stream.flush()])

    def stream(
        self, *, skip_special: bool = True, strip: bool | None = None, keep: Collection[int] = ()
    ) -> TextStream:
        """`decode`, one token at a time. Control tokens in `keep` are never left out."""

        def bytes_of(token: int) -> bytes:
            hidden = skip_special and token in self._control and token not in keep
            return b"" if hidden else self.token_bytes(token)

        return TextStream(bytes_of, strip_space=self._strips_space if strip is None else strip)

    def piece(self, token: int) -> str:
        """The token alone, for display: leading space kept, an incomplete character like "<0xE4>".

        An id without a token (padding of the output matrix) reads like "[unused 151999]".
        """
        known = self._pieces.get(token)
        if known is None:
            unused = token >= self.vocabulary or self._backend.id_to_token(token) is None
            known = f"[unused {token}]" if unused else visible(self.token_bytes(token))
            self._pieces[token] = known
        return known

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for: a control token's name; nothing for an id without a token."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._find_bytes(token)
        return known

    def _find_bytes(self, token: int) -> bytes:
        name = self._backend.id_to_token(token) if 0 <= token < self.vocabulary else None
        if name is None:
            return b""
        if token in self._control or (token in self._added and self.kind == "byte-level"):
            return name.encode("utf-8", "replace")
        return byte_level_bytes(name) if self.kind == "byte-level" else byte_fallback_bytes(name)

    # --- what there is ----------------------------------------------------------------------------------

    def is_special(self, token: int) -> bool:
        """Whether the token is a control token: it steers the model and is no part of the text."""
        return token in self._control

    def is_protected(self, token: int) -> bool:
        """Whether no plain text becomes this token: a control token, or a thinking marker."""
        return token in self._protected

    def id_of(self, name: str) -> int | None:
        """The id of the token that is called exactly `name` in the vocabulary."""
        found: int | None = self._backend.token_to_id(name)
        return found

    @cached_property
    def _added_names(self) -> tuple[str, ...]:
        return tuple(token.content for token in self._added.values())

    @cached_property
    def _added_text_names(self) -> tuple[str, ...]:
        return tuple(token.content for token in self._added.values() if not token.special)

    @cached_property
    def _protected_names(self) -> tuple[str, ...]:
        return tuple(filter(None, map(self._backend.id_to_token, sorted(self._protected))))

    def find_control(self, text: str) -> list[TokenSpan]:
        """Where names of control tokens and thinking markers that are tokens stand in `text`, in order.

        The leftmost goes first, and of those that begin at one place the longest.
        """
        if len(self._protected_names) <= _FEW_NAMES and not any(
            name in text for name in self._protected_names
        ):
            return []
        found = []
        for token, start, _ in self._encode(text, special=True):
            if token in self._protected:
                name = self._backend.id_to_token(token) or ""
                begin = text.find(name, start)  # the span may hold white space that the token strips
                if begin >= 0:
                    found.append(TokenSpan(token, begin, begin + len(name)))
        return found
