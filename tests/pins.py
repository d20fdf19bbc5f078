"""Whether constraints.txt pins everything that pyproject.toml asks for, with all that these ask for in turn.

Read from what is installed here, so no network is needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def pins(text: str) -> dict[str, Version]:
    """The versions of a constraints file by canonical name.

    Raises:
        ValueError: a line does not pin one version exactly.
    """
    found = {}
    for line in text.splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            name, exactly, version = requirement.partition("==")
            if not exactly:
                raise ValueError(f"constraints.txt: {requirement!r} pins no version exactly.")
            found[canonicalize_name(name)] = Version(version.partition(";")[0].strip())
    return found


def asked_for(project: str) -> Iterator[tuple[Requirement, str]]:
    """What a pyproject.toml asks for, extras too, each with the name of what asks."""
    table = tomllib.loads(project)["project"]
    for text in table["dependencies"]:
        yield Requirement(text), "pyproject.toml"
    for extra, texts in table.get("optional-dependencies", {}).items():
        for text in texts:
            yield Requirement(text), f"pyproject.toml [{extra}]"


def problems(project: str, constraints: str) -> list[str]:
    """A sentence for each requirement that is not pinned, or pinned outside of its own range."""
    pinned = pins(constraints)
    found: dict[str, None] = {}
    waiting = list(asked_for(project))
    seen = set()
    while waiting:
        requirement, who = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == "pip":
            continue  # what installs all the others
        if name not in pinned:
            found[f"{name}, for {who}, is not pinned in constraints.txt."] = None
        elif not requirement.specifier.contains(pinned[name], prereleases=True):
            found[f"{name} is pinned to {pinned[name]}, and {who} asks for {requirement.specifier}."] = None
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _needs(requirement.name, extra)
    return sorted(found)


def _needs(name: str, extra: str) -> list[tuple[Requirement, str]]:
    """What an installed package asks for on this machine; nothing for one that is not installed."""
    try:
        texts = requires(name) or []
    except PackageNotFoundError:
        return []
    wanted = (Requirement(text) for text in texts)
    return [(one, name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]


def here() -> list[str]:
    """`problems` of this project."""
    return problems(
        (ROOT / "pyproject.toml").read_text("utf-8"), (ROOT / "constraints.txt").read_text("utf-8")
    )
