"""Where chatterm keeps things. Every folder can be moved by an environment variable, which the tests use."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import PlatformDirs

_DIRS = PlatformDirs("chatterm", appauthor=False)


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default).expanduser()


def config_folder() -> Path:
    """Settings, key map and themes (`CHATTERM_CONFIG`)."""
    return _folder("CHATTERM_CONFIG", _DIRS.user_config_dir)


def data_folder() -> Path:
    """The conversation library (`CHATTERM_DATA`)."""
    return _folder("CHATTERM_DATA", _DIRS.user_data_dir)


def cache_folder() -> Path:
    """What can be made again: measurements, partial downloads (`CHATTERM_CACHE`)."""
    return _folder("CHATTERM_CACHE", _DIRS.user_cache_dir)


def log_folder() -> Path:
    """Logs of the engine process (`CHATTERM_LOG`)."""
    return _folder("CHATTERM_LOG", _DIRS.user_log_dir)


def user_models_folder() -> Path:
    """The user's own checkpoints, where downloads go (`CHATTERM_MODELS`)."""
    return _folder("CHATTERM_MODELS", str(Path(_DIRS.user_data_dir) / "models"))


def clone_models_folder() -> Path | None:
    """The folder `models/` of the clone that chatterm runs from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    folder = root / "models"
    return folder if (root / "pyproject.toml").is_file() and folder.is_dir() else None
