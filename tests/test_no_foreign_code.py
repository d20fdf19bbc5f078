"""Checkpoints, templates and imports are data: nothing turns them into code, and nothing uses a shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "chatterm"

MODULES = {
    *(
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "shelve",
        "marshal",
        "yaml",
        "runpy",
        "code",
    ),
    *("codeop", "pty", "xmlrpc", "torch.hub", "transformers", "safetensors.torch", "numpy.lib.npyio"),
}
"""That read code from data, or run it."""

CALLS = {
    *("eval", "exec", "compile", "__import__", "execfile", "input"),
    *(
        "os.system",
        "os.popen",
        "os.execv",
        "os.execvp",
        "os.execl",
        "os.spawnv",
        "os.posix_spawn",
        "os.startfile",
    ),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
    *(
        "torch.load",
        "torch.jit.load",
        "torch.hub.load",
        "torch.ops.load_library",
        "torch.package.PackageImporter",
    ),
    *("np.load", "numpy.load", "np.fromfile", "np.memmap", "joblib.load", "pd.read_pickle"),
    *("importlib.import_module", "imp.load_source", "importlib.util.spec_from_file_location"),
    *("tempfile.mktemp", "yaml.load", "yaml.unsafe_load", "shelve.open", "marshal.loads"),
}
KEYWORDS = {"shell": True, "trust_remote_code": True, "allow_pickle": True, "weights_only": False}

ALLOWED: dict[str, set[str]] = {
    "cli/__init__.py": {"importlib.import_module"},  # a command, by a table of our own
}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def faults(source: str) -> list[str]:
    """What a source file does of all that."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {name.name}" for name in node.names if name.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
            found += [f"from {name}" for name in sorted(names & (MODULES | CALLS))]
        elif isinstance(node, ast.Call):
            called = _dotted(node.func)
            found += [called] if called in CALLS else []
            found += [
                f"{called}({keyword.arg}=…)"
                for keyword in node.keywords
                if keyword.arg in KEYWORDS
                and (
                    not isinstance(keyword.value, ast.Constant)
                    or keyword.value.value == KEYWORDS[keyword.arg]
                )
            ]
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_file_can_run_what_it_reads(path: Path) -> None:
    allowed = ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set())
    assert [fault for fault in faults(path.read_text("utf-8")) if fault not in allowed] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from torch.hub import load",
        "from os import system",
        "eval('1')",
        "torch.load(path)",
        "subprocess.run(line, shell=True)",
        "subprocess.run(line, shell=flag)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "np.load(path, allow_pickle=True)",
        "asyncio.create_subprocess_shell('ls')",
    ],
)
def test_the_search_finds_them(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source", ["re.compile('a')", "subprocess.run(['ls'], shell=False)", "self.eval()", "x.exec()"]
)
def test_the_search_finds_nothing_else(source: str) -> None:
    assert faults(source) == []
