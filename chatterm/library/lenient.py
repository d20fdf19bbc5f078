"""Values of rows that another program may have edited, as what a record needs.

The tables are strict and checked, so our own rows never need this. What makes no sense in its place is shown
as far as it does: the rest of the row is as good as it was.
"""

from __future__ import annotations

import math
from typing import Any, get_args

from chatterm.library.records import Role, Status

_ROLES: tuple[Role, ...] = get_args(Role)
_STATUS: tuple[Status, ...] = get_args(Status)
_LARGEST = 2**63 - 1


def text(value: Any) -> str:
    """A text; bytes as UTF-8, numbers as they are written, nothing as no words."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def optional_text(value: Any) -> str | None:
    """A text, or None."""
    return None if value is None else text(value)


def real(value: Any) -> float:
    """A finite number; 0 for what is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def optional_real(value: Any) -> float | None:
    """A finite number, or None."""
    return None if value is None else real(value)


def optional_integer(value: Any) -> int | None:
    """A whole number, or None for what is none."""
    return value if isinstance(value, int) else None


def natural(value: Any) -> int:
    """A whole number of things; 0 for what is none."""
    return min(max(value, 0), _LARGEST) if isinstance(value, int) else 0


def role(value: Any) -> Role:
    """Who speaks; what nobody knows was said by the user, for whom it is kept."""
    return value if value in _ROLES else "user"


def status(value: Any) -> Status:
    """How a message stands."""
    return value if value in _STATUS else "done"
