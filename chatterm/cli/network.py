"""Whom chatterm may talk to over a network, and when: for `chatterm doctor`."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from chatterm import hub_access, inert
from chatterm.language import _

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def network() -> dict[str, str]:
    """Addresses, occasions, and whether there is a token; never the token, nor a password in an address."""
    hub = hub_access.endpoint()
    index = os.environ.get("PIP_INDEX_URL")
    proxies = [name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.upper())]
    where = f"{_host(index)} (PIP_INDEX_URL)" if index else _("pypi.org, or as pip is set up")
    asked = f"{_host(hub)} (HF_ENDPOINT)" if "HF_ENDPOINT" in os.environ else _host(hub)
    return {
        _("used for"): _(
            "searches and downloads that you ask for, and the default model where it is not here"
        ),
        _("then asks"): _("the hub at {address}").format(address=asked),
        _("and if need be"): _("for the default model, the package index at {address}").format(address=where),
        _("offline"): _("yes, neither the hub nor a package index is ever asked (HF_HUB_OFFLINE)")
        if hub_access.is_offline()
        else _("no (HF_HUB_OFFLINE is not set)"),
        _("token for the hub"): _token(hub),
        _("proxies"): ", ".join(proxies) or _("none set"),
        _("what you say"): _("is never sent anywhere"),
    }


def _host(url: str) -> str:
    """The part of an address that says who it is; a user name or password in it stays out."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _("an address that cannot be understood")
    return (
        inert.line(f"{parts.scheme}://{parts.hostname}{port}")
        if parts.hostname
        else _("an address that is none")
    )


def _token(hub: str) -> str:
    if hub_access.ignores_token():
        return _("not used (HF_HUB_DISABLE_IMPLICIT_TOKEN)")
    token = hub_access.token()
    if token is None:
        return _("none")
    if token.variable:
        found = _("found in {variable}").format(variable=token.variable)
    else:
        found = _("found, as `hf auth login` stored it")
    withheld = hub_access.withheld(token, hub)
    if withheld is None:
        said = _("{found}; it goes to {address} and nowhere else")
    elif withheld == "elsewhere":
        said = _("{found}; it is not sent to {address}: set HF_TOKEN to send one there")
    else:
        said = _("{found}; it is not sent to {address}, because others could read it on the way")
    return said.format(found=found, address=_host(hub))
