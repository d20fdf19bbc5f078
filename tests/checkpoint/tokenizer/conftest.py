"""Vocabularies to test with: llama.cpp's, the default model's, and small ones trained here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.tokenizer import Tokenizer, tokenizer_from_gguf

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
WANTED = "/vendor/llama.cpp/models/"
UNREACHABLE = ("connection", "no matching distribution", "timed out", "temporary failure", "network", "proxy")
SEPARATOR = "\n__ggml_vocab_test__\n"


SENTENCES = [
    "The best thing about AI is its ability to learn from experience.",
    "What is the capital of Poland? The capital of Poland is Warsaw.",
    "Zażółć gęślą jaźń; naïve café, Ünïcödé, 12345 and 67890.",
    "苹果是水果吗？苹果是一种水果，也是一家公司。",
    "def hello(name):\n    return f'hello {name}'\n",
    "Wer reitet so spät durch Nacht und Wind? Es ist der Vater mit seinem Kind.",
    "Она любит читать книги и писать письма своим друзьям.",
] * 20


@pytest.fixture(scope="session")
def vocabulary_metadata(llama_cpp_models: Path) -> Callable[[str], Mapping[str, Any]]:
    """The metadata of llama.cpp's vocabulary of a name, such as "qwen2"."""
    return cache(lambda name: read_gguf(llama_cpp_models / f"ggml-vocab-{name}.gguf").metadata)


@pytest.fixture(scope="session")
def vocabulary(vocabulary_metadata: Callable[[str], Mapping[str, Any]]) -> Callable[[str], Tokenizer]:
    """The tokenizer of llama.cpp's vocabulary of a name."""
    return cache(lambda name: tokenizer_from_gguf(vocabulary_metadata(name)))


@pytest.fixture(scope="session")
def default_metadata(default_model_path: Path) -> Mapping[str, Any]:
    """The metadata of the default model."""
    return read_gguf(default_model_path).metadata


@pytest.fixture(scope="session")
def default_tokenizer(default_metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of the default model."""
    return tokenizer_from_gguf(default_metadata)


@pytest.fixture(scope="session")
def default_folder(default_metadata: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's vocabulary as a folder, with its authors' pre-tokenizers and template."""
    names, types = (default_metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "token_type"))
    merges = [tuple(merge.split(" ")) for merge in default_metadata["tokenizer.ggml.merges"]]
    backend = Backend(models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([name for name, kind in zip(names, types, strict=True) if kind == 3])
    folder = tmp_path_factory.mktemp("smollm")
    backend.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "chat_template": default_metadata["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def train_sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains a SentencePiece model, with the trainer's options; gives the path of `tokenizer.model`."""

    @cache
    def train(**options: Any) -> Path:
        folder = tmp_path_factory.mktemp("sentencepiece")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_prefix=str(folder / "tokenizer"),
            minloglevel=2,
            **{"vocab_size": 370, "byte_fallback": True, "character_coverage": 0.98, **options},
        )
        return folder / "tokenizer.model"

    return train


@pytest.fixture(scope="session")
def llama_cpp_models() -> Path:
    """The folder with llama.cpp's `ggml-vocab-*.gguf`, `.inp`, `.out` and `templates/*.jinja`.

    They are third-party data of 70 MB, so they are not in the repository: pip fetches the source package that
    holds them once, honouring the user's index settings, and only the wanted members are kept.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chatterm-tests"
    folder = home / f"{PACKAGE}-{VERSION}-models"
    if not folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            extracted = _extract(_download(Path(scratch)), Path(scratch) / "models")
            try:
                extracted.rename(folder)
            except OSError:  # another run was first
                if not folder.is_dir():
                    raise
    return folder


@pytest.fixture(scope="session")
def vectors(llama_cpp_models: Path) -> Callable[[str], list[tuple[str, list[int]]]]:
    """The test inputs that belong to a vocabulary of llama.cpp, and the ids that its authors expect."""

    def read(name: str) -> list[tuple[str, list[int]]]:
        model = llama_cpp_models / f"ggml-vocab-{name}.gguf"
        inputs = Path(f"{model}.inp").read_bytes().decode("utf-8").split(SEPARATOR)
        ids = [list(map(int, line.split())) for line in Path(f"{model}.out").read_text().split("\n")]
        return list(zip(inputs, ids[: len(inputs)], strict=True))

    return read


def _download(scratch: Path) -> Path:
    # fmt: off
    command = [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps",
        "--retries", "1", "--timeout", "30", "--no-binary", PACKAGE,
        "--dest", str(scratch), f"{PACKAGE}=={VERSION}",
    ]
    # fmt: on
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        if any(word in done.stderr.lower() for word in UNREACHABLE):
            pytest.skip(f"the package registry cannot be reached: {last}")
        pytest.fail(f"pip cannot download {PACKAGE} {VERSION}: {done.stderr[-2000:]}")
    (package,) = scratch.glob("*.tar.gz")
    assert hashlib.sha256(package.read_bytes()).hexdigest() == SHA256
    return package


def _extract(package: Path, target: Path) -> Path:
    with tarfile.open(package) as archive:
        for member in archive:
            _, found, name = member.name.partition(WANTED)
            if not found or not member.isfile() or name.endswith(".md"):
                continue
            source = archive.extractfile(member)
            assert source is not None
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with source, place.open("wb") as file:
                shutil.copyfileobj(source, file)
    return target
