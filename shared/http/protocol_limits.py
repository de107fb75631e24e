"""What one HTTP server takes on: how many connections, how large a head, how long a caller may keep it waiting."""

import sys
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from shared.logs import get_logger
from shared.settings import ServiceSettings

log = get_logger(__name__)

MAX_HEAD_BYTES = 32 * 1024
MAX_HEAD_LINES = 100
MAX_TARGET_BYTES = 8 * 1024
# Connections that only wait for their caller to read the last answer and close; they count beside the others.
MAX_ENDING = 100
# Files that a process needs beside its callers': database, log, listening sockets, logs, and what is being opened.
RESERVED_FILES = 200 + MAX_ENDING
FEWEST_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds and deadlines of one server.

    max_connections: open at once. head_seconds: from the first byte (or from the connection) to the end of the head.
    body_seconds: from there to the end of the body. idle_seconds: between two requests.
    write_seconds: how long a caller may leave an answer unread.
    opaque_below: a path below which names may hold a slash, written %2F; elsewhere that is not found.
    """

    max_connections: int = 1_000
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    idle_seconds: float = 30.0
    write_seconds: float = 30.0
    opaque_below: bytes | None = None

    def within_open_files(self) -> "HttpLimits":
        """Return the same with no more connections than this process may open files; raise that number first."""
        room = _raise_open_files(self.max_connections + RESERVED_FILES) - RESERVED_FILES
        if room >= self.max_connections:
            return self
        fewer = max(room, FEWEST_CONNECTIONS)
        log.warning("fewer connections than asked for: open files are limited", asked=self.max_connections, now=fewer)
        return replace(self, max_connections=fewer)


class HttpSettings(ServiceSettings):
    """What every service can be told about its HTTP server."""

    max_connections: Annotated[
        int,
        Field(
            ge=FEWEST_CONNECTIONS,
            le=100_000,
            description="open HTTP connections; past it the one that has been idle longest makes room",
        ),
    ] = 1_000
    head_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="how long a caller may take to send the head of one request")
    ] = 10.0
    body_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="how long a caller may take to send the body of one request")
    ] = 10.0
    idle_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="how long a connection is kept between requests")
    ] = 30.0
    write_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="how long a caller may leave an answer unread")
    ] = 30.0

    def http_limits(self, *, opaque_below: bytes | None = None) -> HttpLimits:
        """Return them as the server takes them."""
        return HttpLimits(
            max_connections=self.max_connections,
            head_seconds=self.head_timeout_seconds,
            body_seconds=self.body_timeout_seconds,
            idle_seconds=self.idle_timeout_seconds,
            write_seconds=self.write_timeout_seconds,
            opaque_below=opaque_below,
        )


def _raise_open_files(wanted: int) -> int:
    """Raise the soft limit of open files to the hard one; return how many files may be open."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Without a hard limit the kernel still has one, which it tells nobody here.
    highest = max(soft, wanted) if hard == resource.RLIM_INFINITY else hard
    if soft not in (highest, resource.RLIM_INFINITY):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of open files cannot be raised", limit=soft, reason=str(error))
            return soft
    return highest
