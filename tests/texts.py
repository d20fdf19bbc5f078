"""The texts of the interface, as `make messages` collects them; `babel.cfg` names functions of this module.

The help of a command stays where it is: its docstring, and `help=` and `epilog=` of the calls around it.
Words of click's own are part of it, so click's files are read as well.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click
from babel.messages import extract
from babel.messages.frontend import parse_mapping_cfg

from chatterm.cli.translated import paragraphs

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {"_": None, "mark": None, "several": (1, 2), "ngettext": (1, 2)}
HELP = ("help", "epilog")

Found = tuple[int, str | None, Any, list[str]]


def folders() -> list[Path]:
    """Where texts are collected."""
    return [ROOT / "chatterm", ROOT / "models", Path(click.__file__).parent]


def collected() -> set[Any]:
    """All texts; a pair where there is a plural."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, _options = parse_mapping_cfg(file)
    return {
        text
        for folder in folders()
        for _file, _line, text, _comments, _context in extract.extract_from_dir(
            str(folder), methods, keywords=KEYWORDS
        )
    }


def commands(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[Found]:
    """What babel finds in Python, and the help of commands and options."""
    yield from extract.extract_python(file, keywords, comment_tags, options)
    file.seek(0)
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.FunctionDef) and any(map(_makes_a_command, node.decorator_list)):
            for one in paragraphs(ast.get_docstring(node) or ""):
                yield node.lineno, None, one.text, []
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in HELP and isinstance(keyword.value, ast.Constant):
                    for one in paragraphs(keyword.value.value):
                        yield node.lineno, None, one.text, []


def catalog(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[Found]:
    """What the catalog of models says of each."""
    for model in tomllib.load(file)["model"]:
        yield 1, None, model["description"], []


def _makes_a_command(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in ("command", "group")
    )


if __name__ == "__main__":
    print(*folders())
