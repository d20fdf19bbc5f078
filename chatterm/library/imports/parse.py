"""From bytes to values, and from values to what a format expects; every error says what and where."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from chatterm.library.text import storable

Value = TypeVar("Value")

LATEST = 253_402_300_799.0  # the end of the year 9999


class WrongError(Exception):
    """What is wrong with a file, without its name: the end of a sentence."""


def decode(data: bytes, type_: type[Value]) -> Value:
    """A JSON value of a type.

    Raises:
        WrongError: it is not JSON, or of another type.
    """
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as error:
        raise WrongError(said(error)) from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        if (mended := _mended(data)) is not None:
            return decode(mended, type_)
        _refuse_other_encodings(data)
        raise WrongError(f"it is not JSON ({error})") from error


def convert(value: Any, type_: type[Value]) -> Value:
    """A decoded value as a type.

    Raises:
        WrongError: it is of another type.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise WrongError(said(error)) from error


def said(error: msgspec.ValidationError) -> str:
    """A validation error as a part of a sentence: "Expected `str`, got `int` at `$.messages[2].content`"."""
    return str(error).replace(" - at ", " at ")


def seconds(value: float | str | None) -> float | None:
    """A time in seconds since 1970, from seconds or an ISO 8601 text; None if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    if value is None or not math.isfinite(value) or not 0 < value <= LATEST:
        return None
    return float(value)


def milliseconds(value: float | None) -> float | None:
    """The same from milliseconds since 1970."""
    return None if value is None else seconds(value / 1000)


def _refuse_other_encodings(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise WrongError(f"it is not UTF-8 text (byte {error.start})") from error


def _mended(data: bytes) -> bytes | None:
    """JSON with halves of surrogate pairs, which are no text but which other programs write, as U+FFFD."""
    if b"\\ud" not in data.lower():
        return None
    try:
        mended = storable(json.dumps(json.loads(data), ensure_ascii=False)).encode()
    except ValueError:
        return None
    return mended if mended != data else None
