"""Looks for known holes in what `make` installs: `python -m tests.audit`, or `make audit`.

Asks the advisory service of PyPI about the pinned versions, with pip-audit (the extra `audit`). Exit status:

- 0: none is known;
- 1: some are, or something is not pinned;
- 3: the service gave no answer about some or all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests import pins

HOLES, UNREACHABLE = 1, 3
PATIENCE = 600
"""Seconds until the service is said not to answer."""


def main() -> int:
    """Print what was found, a line each."""
    unpinned = pins.here()
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(pins.ROOT / "constraints.txt"), "--no-deps",
        "--disable-pip", "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        status, lines = judge(done.returncode, done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        status, lines = UNREACHABLE, ["The advisory service does not answer, so nothing is known."]
    print(*unpinned, *lines, sep="\n")
    return HOLES if unpinned and status == 0 else status


def judge(status: int, output: str, errors: str) -> tuple[int, list[str]]:
    """The exit status and the lines for what pip-audit answered."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or [f"status {status}"])[-1]
        return UNREACHABLE, [f"The advisories could not be asked for ({last[:200]}), so nothing is known."]
    lines = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {_versions(hole)}."
        for package in packages
        for hole in package.get("vulns", ())
    ]
    skipped = [package for package in packages if "skip_reason" in package]
    asked = len(packages) - len(skipped)
    if asked:
        lines.insert(0, f"Asked about {asked} packages; {len(lines) or 'no'} advisories are known.")
    if skipped:
        why = str(skipped[0]["skip_reason"])[:200].rstrip(".")
        lines.append(f"Nothing could be learnt about {len(skipped)} of {len(packages)} packages ({why}).")
    if any(package.get("vulns") for package in packages):
        return HOLES, lines
    return (UNREACHABLE if skipped or not packages else 0), lines


def _versions(hole: dict[str, list[str]]) -> str:
    return ", ".join(hole["fix_versions"]) or "no version yet"


if __name__ == "__main__":
    sys.exit(main())
