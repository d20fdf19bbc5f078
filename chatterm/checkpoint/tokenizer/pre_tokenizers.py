"""How byte-level vocabularies cut text into words before merging: one rule for every `tokenizer.ggml.pre`.

A GGUF file only names its rule. The rules are those of the models' own `tokenizer.json`, under the names that
llama.cpp gives them; patterns are in the notation of Oniguruma, which `tokenizers` uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

Step = Callable[[], PreTokenizer]


@dataclass(frozen=True)
class PreTokenizing:
    """A named rule: what is done to a text before merging, and two habits that come with it."""

    steps: tuple[Step, ...]
    nfc: bool = False  # composes characters first
    ignore_merges: bool = False  # a word that is in the vocabulary is one token, whatever the merges say
    adds_bos: bool = False  # unless the file says otherwise
    bytes: bool = True  # False: works on characters, U+2581 for a space, bytes only as a last resort

    def pre_tokenizer(self) -> PreTokenizer:
        """The rule for `tokenizers`."""
        return pre_tokenizers.Sequence([step() for step in self.steps])

    def normalizer(self) -> Normalizer | None:
        """What happens to the characters first."""
        if not self.bytes:
            return normalizers.Replace(" ", "▁")
        return normalizers.NFC() if self.nfc else None


def _split(pattern: str) -> Step:
    """Every match of the pattern is a word of its own, and so is what lies between."""
    return lambda: pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)


def _digits(*, individual: bool) -> Step:
    return lambda: pre_tokenizers.Digits(individual_digits=individual)


def _to_bytes(*, words: bool) -> Step:
    """Writes bytes in GPT-2's alphabet; with `words`, after cutting as GPT-2 does."""
    return lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=words)


def _punctuation() -> Step:
    return lambda: pre_tokenizers.Punctuation(behavior="contiguous")


def _patterns(*patterns: str) -> PreTokenizing:
    return PreTokenizing((*map(_split, patterns), _to_bytes(words=False)))


def _cased(suffix: str = "", *, without: str = "") -> str:
    """Words split where lower case turns to upper case, as o200k does; `without` takes characters out."""
    upper = rf"[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}{without}]"
    lower = rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}{without}]"
    first = r"[^\r\n\p{L}\p{N}]?"
    return f"{first}{upper}*{lower}+{suffix}|{first}{upper}+{lower}*{suffix}"


_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_ASCII_PUNCTUATION = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_HAN_KANA = "[一-龥぀-ゟ゠-ヿ]+"
_HAN_HANGUL = "[一-龥ࠀ-一가-퟿]+"
_LATIN_GREEK_CYRILLIC = (  # the letters that DeepSeek LLM keeps together, by code point
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-"
    "\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-"
    "\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf"
    "\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-"
    "\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115"
    "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e"
    "\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-"
    "\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-"
    "\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_BLOOM_WORD = r" ?[^(\s|[.,!?…。，、।۔،])]+"

_GPT2 = PreTokenizing((_to_bytes(words=True),))
_SINGLE_DIGITS = PreTokenizing((_digits(individual=True), _to_bytes(words=True)))
_LLAMA3 = _patterns(rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_SYMBOLS}|{_SPACES}")
_QWEN2 = _patterns(rf"{_CONTRACTION}|{_WORD}|\p{{N}}|{_SYMBOLS}|{_SPACES}")
_DEEPSEEK_3 = _patterns(
    r"\p{N}{1,3}",
    _HAN_KANA,
    rf"{_ASCII_PUNCTUATION}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}",
)
_GPT4O = _patterns(_cased(f"{_CONTRACTION}?") + rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}")
_TEKKEN = _patterns(_cased() + rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}")
_DIGIT_GROUPS = r"\d{1,3}(?=(?:\d{3})*\b)"
_TINY_AYA = PreTokenizing((_split(_DIGIT_GROUPS), *_GPT4O.steps))
_BLOOM = _patterns(_BLOOM_WORD)
_CHARACTERS = PreTokenizing((_split(r"[^\n]+|[\n]+"),), bytes=False)

_DEFAULT = PreTokenizing(
    (
        _split(r"[\p{P}\$\+<=>\^~\|]+"),
        _split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"),
        _split(r"\p{N}+"),
        _split(r"[0-9][0-9][0-9]"),
        _to_bytes(words=False),
    )
)

_FAMILIES: list[tuple[str, PreTokenizing]] = [
    ("default", _DEFAULT),
    ("gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe", _GPT2),
    ("gigachat a.x-4.0 mellum modern-bert jais trillion granite-docling exaone4", _GPT2),
    ("mpt olmo", replace(_GPT2, nfc=True)),
    ("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     replace(_LLAMA3, ignore_merges=True, adds_bos=True)),
    ("dbrx smaug-bpe chatglm-bpe", _LLAMA3),
    ("glm4 glm5", replace(_LLAMA3, ignore_merges=True)),
    ("jais-2", _patterns(
        rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_SYMBOLS}|\s*[\r\n]+|"
        r"\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|"
        r"\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}")),
    ("qwen2 deepseek-r1-qwen kormo f2llmv2 megrez", replace(_QWEN2, nfc=True)),
    ("stablelm2 hunyuan solar-open grok-2", _QWEN2),
    ("qwen35", replace(_patterns(
        rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"),
        nfc=True)),
    ("ufakzeka", _patterns(rf"{_WORD}|\p{{N}}|{_SYMBOLS}|{_SPACES}")),
    ("laguna", _patterns(r"[^\n]+|[\n]+", rf"{_CONTRACTION}|{_WORD}|\p{{N}}|{_SYMBOLS}|{_SPACES}")),
    ("minicpm5", replace(_patterns(
        r"\p{N}{1,3}", rf"{_CONTRACTION}|{_WORD}|\p{{N}}+|{_SYMBOLS}|{_SPACES}"), ignore_merges=True)),
    ("seed-coder", _patterns(
        rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}")),
    ("bailingmoe bailingmoe2 llada-moe", _patterns(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
        r"|\s+(?!\S)|\s+")),
    ("exaone-moe", _patterns(
        rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+")),
    ("starcoder refact smollm codeshell exaone minerva-7b mellum2", _SINGLE_DIGITS),
    ("command-r", replace(_SINGLE_DIGITS, nfc=True)),
    ("falcon", PreTokenizing((
        _punctuation(), _to_bytes(words=True), _digits(individual=False), _split("[0-9][0-9][0-9]")))),
    ("deepseek-llm", PreTokenizing((
        _split("[\r\n]"), _split(rf"\s?[{_LATIN_GREEK_CYRILLIC}]+"),
        _split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        _split(r"\s+$"), _split(_HAN_HANGUL), _digits(individual=True), _to_bytes(words=False)))),
    ("deepseek-coder", PreTokenizing((
        _split("[\r\n]"), _split(r"\s?\p{L}+"), _split(r"\s?\p{P}+"), _split(_HAN_HANGUL),
        _digits(individual=True), _to_bytes(words=False)))),
    ("deepseek-v3 hunyuan-dense joyai-llm hy_v4", _DEEPSEEK_3),
    ("spark2_5", _patterns(
        r"\p{N}{1,3}", _HAN_KANA,
        rf"{_ASCII_PUNCTUATION}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
        r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+", r"\p{N}")),
    ("youtu", replace(_patterns(
        "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + _HAN_KANA,
        _cased(f"{_CONTRACTION}?") + rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"),
        ignore_merges=True)),
    ("poro-chat bloom gpt3-finnish", _BLOOM),
    ("viking", PreTokenizing((_split(_BLOOM_WORD), _digits(individual=True), _to_bytes(words=False)))),
    ("tekken", replace(_TEKKEN, ignore_merges=True, adds_bos=True)),
    ("gpt-4o llama4 kanana2 talkie minimax-m2", _GPT4O),
    ("granite-embed-multi-97m", replace(_GPT4O, ignore_merges=True)),
    ("tiny_aya cohere2moe", _TINY_AYA),
    ("chameleon", replace(PreTokenizing((
        _split("<sentinel:[0-9]+>"), _split("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
        _split("([\t\n]|    |  )"), _digits(individual=True), _split(r"[\p{P}!-/:-@\[-`{-~]"),
        _to_bytes(words=True))), adds_bos=True)),
    ("superbpe", _patterns(r"\p{N}+", r"(?=(\d{3})+(?!\d))")),
    ("afmoe", _patterns(
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
        "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
        rf"{_ASCII_PUNCTUATION}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
        rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}")),
    ("kimi-k2", _patterns(
        r"[\p{Han}]+|" + _cased(f"{_CONTRACTION}?", without=r"&&[^\p{Han}]")
        + rf"|\p{{N}}{{1,3}}|{_SYMBOLS}|{_SPACES}")),
    ("gemma4 granite-embed-multi-311m", replace(_CHARACTERS, adds_bos=True)),
    ("sarvam-moe", _CHARACTERS),
]  # fmt: skip

RULES: dict[str, PreTokenizing] = {name: rule for names, rule in _FAMILIES for name in names.split()}
"""Every value of `tokenizer.ggml.pre` that is known, and its rule."""
