"""Reading a checkpoint's configuration: typed, bounded access to somebody else's JSON.

Keys are Hugging Face's; the names that older families use for the same thing are looked up as well, and
GGUF metadata is translated to them first (`chatterm.checkpoint.gguf_config`), so that a family reads one
vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatterm.errors import UserError

_ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed"),
    "num_hidden_layers": ("n_layer",),
    "num_attention_heads": ("n_head",),
    "num_key_value_heads": ("num_kv_heads", "n_head_kv"),
    "intermediate_size": ("n_inner", "ffn_hidden_size"),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "norm_eps": ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
    "hidden_act": ("hidden_activation", "activation_function", "activation"),
    "rope_theta": ("rotary_emb_base",),
    "partial_rotary_factor": ("rotary_pct",),
}


LARGEST = 1e30
"""Larger numbers are damage; float32 ends at 3e38."""


class Config:
    """The keys of one configuration. A missing or null key takes the family's default.

    For the `optional_` kinds an explicit null means that there is none.
    """

    def __init__(
        self, values: Mapping[str, Any], where: str, defaults: Mapping[str, Any] | None = None
    ) -> None:
        """`where` names the file in error messages."""
        self._values = values
        self._defaults = defaults or {}
        self.where = where

    def with_defaults(self, defaults: Mapping[str, Any]) -> Config:
        """The same keys, with a family's own values for missing ones."""
        return Config(self._values, self.where, defaults)

    def get(self, key: str) -> Any:
        """The value of `key` under any of its names, or None."""
        names = (key, *_ALIASES.get(key, ()))
        for source in (self._values, self._defaults):
            for name in names:
                if source.get(name) is not None:
                    return source[name]
        return None

    def _is_null(self, key: str) -> bool:
        """Whether the file says explicitly that there is none."""
        return not self.stated(key) and any(name in self._values for name in (key, *_ALIASES.get(key, ())))

    def stated(self, key: str) -> bool:
        """Whether the file itself says something (not null) about `key`."""
        return any(self._values.get(name) is not None for name in (key, *_ALIASES.get(key, ())))

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
        missing = self._is_null(key) or self.get(key) is None
        return None if missing else self.number(key, least=least, most=most)

    def optional_integer(self, key: str) -> int | None:
        """A positive whole number, or None where there is none."""
        return None if self._is_null(key) or self.get(key) is None else self.integer(key)

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
        return Config(value, f"{self.where}: {key}")

    def wrong(self, key: str, value: object, expected: str) -> UserError:
        """The error that `key` holds `value` where `expected` belongs."""
        found = "is missing" if value is None else f"is {value!r:.60}"
        return UserError(
            f"{self.where}: “{key}” {found} but must be {expected}; the checkpoint is damaged or unusual."
        )
