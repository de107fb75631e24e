"""PostgreSQL refuses to run as root: whom it runs as when we are root, and whether that user gets to its files.

No user is created and no folder outside our own is changed. An existing system user without a login is taken; where
a folder above the clone is closed to it (a clone in root's home, or in a private temporary folder), the launcher lets
the server through, see launch.py.
"""

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

CANDIDATES = ("postgres", "nobody")


class NoSystemUser(RuntimeError):
    """We are root, and there is nobody else to run the server as."""


def user_for_server(owned: Path) -> tuple[int, int] | None:
    """User and group id for a server that must not be root; None when we are an ordinary user already.

    owned: the server's directory; when it exists, its owner runs it again. Raises NoSystemUser.
    """
    if os.geteuid() != 0:
        return None
    if owned.exists() and owned.stat().st_uid != 0:
        return owned.stat().st_uid, owned.stat().st_gid
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    raise NoSystemUser(
        f"PostgreSQL does not run as root, and none of the users {', '.join(CANDIDATES)} exists here: "
        "start as an ordinary user, or name a server in DATABASE_URL"
    )


def closed_folders(paths: Iterable[Path]) -> list[Path]:
    """Folders above these paths that other users may not pass, outermost first."""
    above = {folder for path in paths for folder in path.resolve().parents}
    return sorted(folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH)


def hand_over(path: Path, user: tuple[int, int] | None) -> None:
    """Give a file or folder of ours to the server's user; nothing to do when that is us."""
    if user:
        os.chown(path, *user)
