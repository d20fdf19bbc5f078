"""Whether code that lies in the cache folder can have been put there by somebody else.

Whoever writes to a file that is loaded, or may exchange a folder above it, runs code as the user. POSIX only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_LINKS = 40
"""Followed on the way to a file, as the system itself does."""

_ROOT = 0


def distrust(path: Path, cache: Path) -> str:
    """Why what lies at `path`, in the folder `cache`, is not to be run; "" where only the user can change it.

    From the cache folder down everything must belong to the user or to root, and nobody else may write to it.
    Above, nobody else may take a folder away: it is theirs too or sticky, and sticky if all may write to it.
    Links are followed one by one, since each could be exchanged. What is missing is no reason: it is looked
    at when it has been made.
    """
    home = Path(os.path.realpath(cache))
    if not Path(os.path.realpath(path)).is_relative_to(home):
        return f"{path} is a link out of the cache folder"
    at, names, links = Path("/"), [*reversed(path.absolute().parts)], 0
    while names:
        name = names.pop()
        at = at.parent if name == ".." else at / name  # the root is a name too, the first
        try:
            status = at.lstat()
            target = at.readlink().parts if stat.S_ISLNK(status.st_mode) else None
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{at} cannot be looked at ({error.strerror})"
        if problem := _problem(at, status, inside=at.is_relative_to(home)):
            return problem
        if target is not None:
            names += reversed(target)
            at, links = at.parent, links + 1
        if links > MOST_LINKS:
            return f"{path} leads in circles"
    return ""


def _problem(at: Path, status: os.stat_result, *, inside: bool) -> str:
    """What is wrong with one step; `inside`: it is the cache folder or lies in it."""
    mode = status.st_mode
    is_link, is_sticky = stat.S_ISLNK(mode), bool(mode & stat.S_ISVTX)
    if inside and not (is_link or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return f"{at} is neither a file nor a folder"
    if status.st_uid not in (os.geteuid(), _ROOT) and (inside or is_link or not is_sticky):
        return f"{at} belongs to somebody else; name another folder in CHATTERM_CACHE"
    if is_link:  # whoever owns it could exchange it, and its mode means nothing
        return ""
    if inside and mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to {at}; delete it, it is made anew"
    if not inside and mode & stat.S_IWOTH and not is_sticky:
        return f"others may write to {at}; name another folder in CHATTERM_CACHE"
    return ""
