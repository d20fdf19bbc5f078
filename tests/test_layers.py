"""The house has one way through: who may import whom, and who never sees torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "chatterm"

EVERYBODY = {
    *("sampling", "errors", "paths", "settings", "inert", "language", "presets", "quoting", "toml"),
    *("__init__", "hub_access", "allowance", "commonmark", "records"),
}
"""Base modules: anybody may import them, they import only each other."""

CLIENT = {
    "engine.client",
    "engine.messages",
    "engine.protocol",
    "engine.wire",
}
"""The interface's side of the process boundary."""

MAY_IMPORT = {
    "checkpoint": set(),
    "model": {"checkpoint"},
    "decode": {"model", "checkpoint"},
    "glass": {"decode", "model", "checkpoint"},
    "engine": {"glass", "decode", "model", "checkpoint"},
    "library": set(),
    "chat": {"library", "checkpoint.catalog"} | CLIENT,
    "tui": {"chat", "library", "checkpoint.catalog"} | CLIENT,
    "web": set(),  # it starts the program; it imports nothing of it
    "cli": {"chat", "tui", "web", "library", "checkpoint.catalog"} | CLIENT,
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules of chatterm that a file imports, as dotted names below `chatterm`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "chatterm":
                found |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("chatterm."):
                found.add(node.module.removeprefix("chatterm."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("chatterm.") for a in node.names if a.name.startswith("chatterm.")}
    return found


def allowed(name: str, room: str) -> bool:
    permitted = EVERYBODY | MAY_IMPORT.get(room, set()) | {room}
    parts = name.split(".")
    return any(".".join(parts[: length + 1]) in permitted for length in range(len(parts)))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__main__",):
        return
    wrong = {name for name in imports(path) if not allowed(name, room) and name != "__version__"}
    assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


LIGHT = ("cli", "tui", "chat", "library", "records")

CLIENT_SIDE = [
    ".".join(("chatterm", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in modules()
    if path.relative_to(PACKAGE).parts[0] in LIGHT and path.stem != "__main__"
] + [f"chatterm.{name}" for name in CLIENT]

HEAVY = ("torch", "transformers", "huggingface_hub", "tokenizers", "safetensors", "gguf")


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def test_the_conversation_stands_without_a_screen() -> None:
    chat = [name for name in CLIENT_SIDE if name.startswith(("chatterm.chat", "chatterm.library"))]
    code = f"import sys, importlib\nfor m in {chat!r}: importlib.import_module(m)\n"
    code += "print('textual' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_the_interface_never_imports_torch() -> None:
    code = f"import sys, importlib\nfor m in {CLIENT_SIDE!r}: importlib.import_module(m)\n"
    code += f"print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom chatterm.cli import main\n"
    code += "try: main(['--help'])\nexcept SystemExit: pass\n"
    unwanted = (*HEAVY, "textual", "rich", "numpy", "asyncio", "jinja2")
    code += f"print([m for m in {unwanted!r} if m in sys.modules])"
    assert run_python(code).strip().splitlines()[-1] == "[]"


def test_a_worker_without_a_model_does_not_import_torch() -> None:
    code = "import sys, chatterm.engine.worker\nprint('torch' in sys.modules)"
    assert run_python(code).strip() == "False"
