"""Packed weights stay packed: a loaded model takes little more than its file, and a stopped load nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from chatterm.model.native.build import NotBuiltError, library

pytestmark = pytest.mark.model

LOADS = """
    import io, json, psutil
    from pathlib import Path
    import chatterm.engine.session
    from chatterm.engine import wire
    from chatterm.engine.messages import Load, LoadOptions
    from chatterm.engine.worker import Worker
    from chatterm.model.native.build import library

    class Inbox:
        def __init__(self, left):
            self.left = left
        def stopped(self, request):
            self.left -= 1
            return self.left < 0
        def forget(self, request):
            pass

    path = {path!r}
    mapped = lambda: any(each.path == path for each in process.memory_maps())
    process = psutil.Process()
    library()
    rss = lambda: process.memory_info().rss
    figures = {{"before": rss()}}
    for name, left in (("again", 100), ("stopped", 100), ("whole", 10**6)):
        worker = Worker(Inbox(left), io.BytesIO())
        worker._answer(Load(request=1, path=path, options=LoadOptions(device="cpu", context=512)))
        figures[name] = rss()
        figures[name + " mapped"] = mapped()
        assert (worker._session is None) == (name != "whole")
    figures["peak"] = [int(line.split()[1]) << 10 for line in open("/proc/self/status") if "VmHWM" in line]
    print(json.dumps(figures))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc/self/status")
def test_a_packed_file_stays_packed_and_a_stopped_load_leaves_nothing(default_model_path: Path) -> None:
    try:
        library()
    except NotBuiltError as error:
        pytest.skip(f"no native operator here: {error}")
    code = textwrap.dedent(LOADS.format(path=str(default_model_path)))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    size = default_model_path.stat().st_size
    assert found["stopped"] - found["again"] < 0.1 * size  # "again" was stopped too, and took what stays
    assert not found["stopped mapped"] and not found["whole mapped"]
    assert found["whole"] - found["before"] < 1.4 * size
    assert found["peak"][0] - found["before"] < 1.6 * size  # it was 2.2: file and tiles side by side
