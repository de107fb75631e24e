"""Loopback ports: the wanted one, or the next that is free and promised to nobody.

Between the choice of a port and the moment a server listens on it, seconds pass. So a chosen port is also reserved,
by a lock in a file that every run on this machine looks at: two runs that start together do not take the same one, and
none takes the other's answer for its own child's. The kernel drops the lock when the process ends.
"""

import fcntl
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

LOOPBACK = "127.0.0.1"
TRIES = 200
_reserved: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closing connection is no owner
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(wanted: int) -> int:
    """Reserve the wanted port, or the next free one above it, for the life of this process; 0 asks for any."""
    if wanted:
        for port in range(wanted, min(wanted + TRIES, 65536)):
            if is_free(port) and _reserve(port):
                return port
    while True:
        port = _port_of_the_systems_choice()
        if _reserve(port):
            return port


def _port_of_the_systems_choice() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _reserve(port: int) -> bool:
    """Promise a port to one caller; False when it is promised already."""
    if port in _reserved:
        return False
    try:
        fcntl.lockf(_promises(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


@cache
def _promises() -> int:
    """The file whose byte number n is locked by whoever was promised port n; open for the life of this process."""
    path = Path(tempfile.gettempdir()) / f"shouwang-ports-{os.getuid()}"
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
