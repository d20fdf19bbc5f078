"""Fifty short texts that are hard on a computation with rounded keys: what people type to see what happens.

Repeats, one token many times, beginnings that become attention sinks, long numbers, mixed scripts. A model is
nearly undecided on many of them, so that a small error in a score becomes a large one in a probability.
"""

from __future__ import annotations

import re
import zlib

_PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
_LINE = "All work and no play makes Jack a dull boy.\n"

TEXTS: tuple[str, ...] = (
    # two words, each some times in a row
    "hello" + " hello" * 4 + " bye" * 5,
    "hello" + " hello" * 9 + " bye" * 10,
    "hello " * 5 + "bye " * 5,
    "bye" + " bye" * 4 + " hello" * 5,
    "hello bye" * 8,
    "yes no " * 20,
    "left right left right right left left right left right right left",
    "cat cat cat cat dog dog dog dog cat cat cat cat dog dog dog",
    "one one one two two two three three three four four four one one one two",
    "A A A B B B A A A B B B A A A",
    # one token many times
    "the" + " the" * 47,
    " a" * 40,
    "buffalo" + " buffalo" * 15,
    "very" + " very" * 30 + " good",
    "\n" * 40,
    " " * 60,
    "\t" * 20 + "x",
    "!" * 50,
    "." * 80,
    "0" * 64,
    "=" * 70 + "\n" + "=" * 70,
    "哈" * 40,
    "😀" * 20,
    "ha" * 40,
    # a beginning that stands out, then something else
    "\ufeffThe capital of France is",
    "[[[[[[[[ The capital of France is",
    "Ω The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is",
    ". . . . . . . . The quick brown fox jumps over the lazy",
    "I I I I am am am am here here here here",
    "\n\n\n\n\nQ: What is the capital of Poland?\nA:",
    "SolidGoldMagikarp SolidGoldMagikarp SolidGoldMagikarp",
    "<|endoftext|><|im_start|></s><s> and so on",
    # numbers
    _PI,
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25",
    "1234567890" * 8,
    "99999999999999999999999999999999 + 1 =",
    "2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384",
    "0x0000000000000000ffffffffffffffff0000000000000000",
    "1,000,000,000,000 1,000,000,000,000 1,000,000,000,000",
    "3f2a9c 3f2a9c 3f2a9c 77b1d0 77b1d0 77b1d0 3f2a9c",
    # scripts
    "Hello 你好 Привет مرحبا नमस्ते こんにちは 안녕하세요 שלום hello 你好 Привет مرحبا",
    "苹果 苹果 苹果 香蕉 香蕉 香蕉 apple apple apple banana banana",
    "Zażółć gęślą jaźń. Füße, naïve, Ærøskøbing; Zażółć gęślą jaźń. Füße, naïve,",
    "🙂🙃🙂🙃🙂🙃👩‍👩‍👧‍👦👩‍👩‍👧‍👦🇵🇱🇩🇪🇫🇷",
    "a\u0301e\u0301i\u0301o\u0301u\u0301" * 6,
    "ｗｉｄｅ ｗｉｄｅ ｗｉｄｅ narrow narrow narrow ｗｉｄｅ",
    # lines, code, noise
    _LINE * 4,
    '{"a": {"a": {"a": {"a": {"a": {"a": {"a": null}}}}}}}',
    "for i in range(10):\n    for i in range(10):\n        for i in range(10):\n            for i in",
    "qzxjv kwpfg zzxqj vvkqz qzxjv kwpfg zzxqj vvkqz qzxjv",
)
"""Each is a dozen to a hundred tokens of most tokenizers."""

_PIECES = re.compile(r"\s?\w+|\s?[^\w\s]|\s")


def stand_in_tokens(text: str, vocabulary: int) -> list[int]:
    """Tokens for a checkpoint without a tokenizer: what repeats in the text repeats in them."""
    return [zlib.crc32(piece.encode()) % vocabulary for piece in _PIECES.findall(text)]
