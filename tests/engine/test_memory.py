"""Packed weights stay packed: a loaded model takes little more than its file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from chatterm.model.native.build import NotBuiltError, library

pytestmark = pytest.mark.model


def test_a_packed_file_stays_packed_in_memory(default_model_path: Path) -> None:
    try:
        library()
    except NotBuiltError as error:
        pytest.skip(f"no native operator here: {error}")
    code = textwrap.dedent(f"""
        from pathlib import Path
        import psutil
        from chatterm.engine.messages import LoadOptions
        from chatterm.engine.session import Session
        process = psutil.Process()
        before = process.memory_info().rss
        path = Path({str(default_model_path)!r})
        session = Session(path, LoadOptions(context=512), lambda done, total: None)
        print(process.memory_info().rss - before)
    """)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 1.4 * default_model_path.stat().st_size
