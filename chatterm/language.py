"""The language of the interface: English in the source, Simplified Chinese from `locales/`, by gettext.

Wrap what people read in `_("…")`, evaluated when it is shown; `mark("…")` marks text in constants, which is
translated with `_` where it is shown. `make messages` collects the texts and compiles the translations.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]
Choice = Literal["auto", "en", "zh"]

DOMAIN = "chatterm"
FOLDER = Path(__file__).parent / "locales"
_LOCALES: dict[Language, str] = {"en": "en", "zh": "zh_CN"}

_translations: gettext.NullTranslations = gettext.NullTranslations()
_language: Language = "en"


def from_locale(environment: Mapping[str, str]) -> Language:
    """The language that the locale variables ask for, in their order of precedence; English otherwise."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(variable):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def speak(choice: Choice) -> None:
    """Speak a language from now on; `auto` follows the locale."""
    global _translations, _language
    _language = from_locale(os.environ) if choice == "auto" else choice
    _translations = gettext.translation(DOMAIN, FOLDER, languages=[_LOCALES[_language]], fallback=True)


def language() -> Language:
    """The language spoken now."""
    return _language


def _(text: str) -> str:
    """The text in the language spoken now; the English one where there is no translation."""
    return _translations.gettext(text) if text else ""


def several(one: str, many: str, count: int) -> str:
    """The form of a text for a number of things, as gettext's ngettext; format `{count}` into it."""
    return _translations.ngettext(one, many, count)


def mark(text: str) -> str:
    """The text itself; it is collected for translation and translated where it is shown."""
    return text
