"""The Hugging Face hub as the environment has it: its address, whether it may be asked, what token there is.

Variables and the place of the token that `hf auth login` stored are those of `huggingface_hub`. The token is
only read here. That library's own way to it is more than a look: it renews one that is about to expire, over
the network and in the files, and trades a CI's credentials for one, whoever asks and whatever for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from chatterm import paths

HUB = "https://huggingface.co"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
MAX_BYTES = 1 << 14
"""Of a stored token; no server takes a longer header."""

Withheld = Literal["elsewhere", "unencrypted"]
"""Why a token is not sent: it was stored for another hub, or others could read it on the way."""

_TRUE = ("1", "on", "yes", "true")


@dataclass(frozen=True)
class Token:
    """A token, and the variable that holds it; "" for the one that `hf auth login` stored."""

    text: str = field(repr=False)
    variable: str = ""


def endpoint() -> str:
    """The address of the hub (`HF_ENDPOINT`), without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids all that would need a network."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE


def ignores_token() -> bool:
    """Whether `HF_HUB_DISABLE_IMPLICIT_TOKEN` says that none is to be used."""
    return os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in _TRUE


def token() -> Token | None:
    """The token that is there and may be used, if any. Whether it looks like one is for others to judge."""
    if ignores_token():
        return None
    for variable in VARIABLES:
        if text := os.environ.get(variable, "").strip():
            return Token(text, variable)
    try:
        content = paths.first_bytes(_stored_at(), MAX_BYTES + 1)
    except (OSError, ValueError):
        return None
    text = content.decode("utf-8", "replace").strip()
    return Token(text) if text and len(content) <= MAX_BYTES else None


def withheld(token: Token, address: str) -> Withheld | None:
    """Why a token is not sent to the hub at an address; None where it is.

    A stored one was made for the usual hub, by whoever logged in there: `HF_ENDPOINT` is no reason to show it
    to anybody else. One in a variable is sent where the other variable says, but not in the clear.
    """
    try:
        parts = urlsplit(address)
        is_private = parts.scheme == "https" or _stays_here(parts.netloc, parts.hostname)
    except ValueError:  # an address that nobody will be asked at
        is_private = False
    if not is_private:
        return "unencrypted"
    return None if token.variable or address.lower() in (HUB, f"{HUB}:443") else "elsewhere"


def _stays_here(place: str, host: str | None) -> bool:
    """Whether what is sent to a host without encryption does not leave this machine."""
    from urllib.request import getproxies, proxy_bypass  # as heavy as the client itself

    if host != "localhost" and not ip_address(host or "").is_loopback:
        return False
    return "http" not in getproxies() or bool(proxy_bypass(place))


def _stored_at() -> Path:
    """Where `hf auth login` puts it. An empty variable counts as none, not as the current folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    named = os.environ.get("HF_TOKEN_PATH") or f"{home}/token"
    return Path(os.path.expandvars(paths.expand(named)))
