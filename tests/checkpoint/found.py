"""What the tests of discovery share: all that is found, and a model as Ollama keeps it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from chatterm.checkpoint.discover import discover

COMMIT = "a" * 40


def by_name(*extra: Path):
    found = discover(extra)
    names = [checkpoint.name for checkpoint in found]
    assert len(names) == len(set(names))
    return dict(zip(names, found, strict=True))


def only(*extra: Path):
    (found,) = discover(extra)
    return found


def put_ollama(store: Path, name: str, put_gguf, **layer: object) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    blob = put_gguf(store / "blobs" / f"sha256-{digest}")
    model = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": blob.stat().st_size,
    }
    registry = "" if name.count("/") == 3 else "registry.ollama.ai/"
    manifest = store / "manifests" / f"{registry}{name}"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    template = {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:0", "size": 5}
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [template, model | layer]}))
    return manifest
