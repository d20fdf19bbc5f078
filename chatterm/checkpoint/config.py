"""Reading a checkpoint's configuration: typed, bounded access to somebody else's JSON.

Families read one vocabulary, mostly Hugging Face's own. Where a family calls a thing otherwise in its
`config.json` it says so (`names`), because the same word may mean nothing to its neighbour: `n_embd` is
GPT-2's width and no key of Llama's. GGUF metadata is translated first (`chatterm.checkpoint.gguf_config`).

A configuration remembers which of its keys were read, so that what nobody read can be judged
(`chatterm.checkpoint.unread`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatterm.errors import UserError

GGUF_KEYS: Mapping[str, tuple[str, ...]] = {"norm_eps": ("rms_norm_eps", "layer_norm_eps")}
"""Our key → its names in what `gguf_config` translates to."""

LARGEST = 1e30
"""Larger numbers are damage; float32 ends at 3e38."""


class Config:
    """The keys of one configuration. A missing or null key takes the family's default.

    For the `optional_` kinds an explicit null means that there is none.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        where: str,
        defaults: Mapping[str, Any] | None = None,
        names: Mapping[str, tuple[str, ...]] = GGUF_KEYS,
    ) -> None:
        """
        Args:
            values: the keys as they stand in the file.
            where: names the file in error messages.
            defaults: for missing keys, under our names.
            names: our key → its names in this file, the one that counts first; others go by our own name.
        """
        self._values = values
        self._defaults = defaults or {}
        self._names = names
        self._read: set[str] = set()
        self._settled: set[str] = set()
        self._sections: dict[str, Config] = {}
        self.where = where

    def get(self, key: str) -> Any:
        """The value of `key` under any of its names, or None."""
        names = self._names_of(key)
        self._read.update(names)
        stated = next((self._values[name] for name in names if self._values.get(name) is not None), None)
        return self._defaults.get(key) if stated is None else stated

    def _names_of(self, key: str) -> tuple[str, ...]:
        return self._names.get(key, (key,))

    def is_null(self, key: str) -> bool:
        """Whether the file says explicitly that there is none."""
        return not self.stated(key) and any(name in self._values for name in self._names_of(key))

    def stated(self, key: str) -> bool:
        """Whether the file itself says something (not null) about `key`."""
        return any(self._values.get(name) is not None for name in self._names_of(key))

    def keys(self) -> set[str]:
        """The names that stand in the file."""
        return set(self._values)

    def laid_over(self, key: str, base: Config) -> Config:
        """The section `key` laid over `base`, key by key; `base` itself where there is none."""
        section = self.section(key)
        if section is None:
            return base
        base.pass_over(*base.keys())
        self._sections[key] = Config({**base._values, **section._values}, section.where, names={})
        return self._sections[key]

    def pass_over(self, *keys: str) -> None:
        """These keys say nothing here, whatever they hold: another one that was read takes their place."""
        for key in keys:
            self._read.update(self._names_of(key))

    def settle(self, key: str) -> None:
        """Another place of the file answers `key`, so its other names do not count."""
        self._settled.add(key)

    def is_settled(self, key: str) -> bool:
        """Whether `key` was read and the file answers it, under a name that counts or elsewhere."""
        read = any(name in self._read and self._values.get(name) is not None for name in self._names_of(key))
        return read or key in self._settled

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Names, as they stand in the file, and values of keys that were never asked for."""
        for name, value in self._values.items():
            if name in self._sections:
                yield from ((f"{name}.{inner}", held) for inner, held in self._sections[name].unread())
            elif name not in self._read:
                yield name, value

    def integer(self, key: str, default: int | None = None, *, least: int = 1, most: int = 2**31 - 1) -> int:
        """A whole number within bounds.

        Raises:
            UserError: it is missing without a default, no whole number, or out of bounds.
        """
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, value, f"a whole number from {least} to {most}")
        return value

    def number(
        self, key: str, default: float | None = None, *, least: float = -LARGEST, most: float = LARGEST
    ) -> float:
        """A finite number within bounds, as `integer`."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(key, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def optional_number(self, key: str, *, least: float = 1e-30, most: float = LARGEST) -> float | None:
        """A positive number within bounds, or None where there is none."""
        missing = self.is_null(key) or self.get(key) is None
        return None if missing else self.number(key, least=least, most=most)

    def optional_integer(self, key: str) -> int | None:
        """A positive whole number, or None where there is none."""
        return None if self.is_null(key) or self.get(key) is None else self.integer(key)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def text(self, key: str, default: str) -> str:
        """A string."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, value, "a string")
        return value

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """A list of finite numbers, or None where there is none."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            isinstance(item, int | float) and abs(item) <= LARGEST for item in value
        ):
            raise self.wrong(key, value, "a list of numbers")
        return tuple(float(item) for item in value)

    def strings(self, key: str) -> tuple[str, ...] | None:
        """A list of strings, or None where there is none."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, value, "a list of strings")
        return tuple(value)

    def section(self, key: str) -> Config | None:
        """A nested object, or None where there is none."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, value, "an object")
        if key not in self._sections:
            self._sections[key] = Config(value, f"{self.where}: {key}", names={})
        return self._sections[key]

    def wrong(self, key: str, value: object, expected: str) -> UserError:
        """The error that `key`, under the file's name for it, holds `value` where `expected` belongs."""
        names = self._names_of(key) or (key,)
        usual = key if key in names else names[0]
        name = next((name for name in names if self._values.get(name) is not None), usual)
        found = "is missing" if value is None else f"is {value!r:.60}"
        return UserError(
            f"{self.where}: “{name}” {found} but must be {expected}; the checkpoint is damaged or unusual."
        )
