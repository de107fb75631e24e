"""Reads a request's form and body: which content mode, no other encoding, never more bytes than allowed."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from enum import Enum
from typing import Any

from shared.errors import RefusedRequest

MAX_EVENT_BYTES = 64 * 1024
MAX_BATCH_BYTES = 1024 * 1024

Headers = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI gives them: names in lower case, repeated ones kept."""


Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""Gives the next message of an ASGI request."""


class Mode(Enum):
    """How the events stand in a request."""

    STRUCTURED = "application/cloudevents+json"
    BINARY = "application/json"
    JSON_BATCH = "application/cloudevents-batch+json"
    LINES = "application/x-ndjson"


SINGLE = (Mode.STRUCTURED, Mode.BINARY)
BATCH = (Mode.JSON_BATCH, Mode.LINES)


def header_values(headers: Headers, name: str) -> list[str]:
    """Return the values of a header, in the order sent."""
    wanted = name.encode("ascii")
    return [value.decode("latin-1").strip() for found, value in headers if found == wanted]


def mode_of(headers: Headers, allowed: Sequence[Mode]) -> Mode:
    """Tell how the events of a request are written. Raises RefusedRequest (415)."""
    given: list[bytes] = []
    for name, value in headers:
        if name == b"content-type":
            given.append(value)
        elif name == b"content-encoding" and value.decode("latin-1").strip().lower() not in ("", "identity"):
            raise RefusedRequest("unsupported-media-type", "send the body without Content-Encoding")
    media_type, charset = _parse(given[0].decode("latin-1")) if len(given) == 1 else ("", "utf-8")
    mode = next((mode for mode in allowed if mode.value == media_type), None)
    if mode is None:
        accepted = " or ".join(mode.value for mode in allowed)
        raise RefusedRequest("unsupported-media-type", f"send one Content-Type: {accepted}")
    if charset != "utf-8":
        raise RefusedRequest("unsupported-media-type", "send UTF-8 and charset=utf-8, or no charset")
    if mode is Mode.BINARY and not header_values(headers, "ce-specversion"):
        raise RefusedRequest(
            "unsupported-media-type",
            f"application/json holds a payload beside ce-* headers; send a whole event as {Mode.STRUCTURED.value}",
        )
    return mode


async def read_body(receive: Receive, headers: Headers, *, max_bytes: int, arrived: Callable[[int], None]) -> bytes:
    """Read a body, counting while it comes. How long it may take is the HTTP server's matter.

    receive: gives the messages of ASGI. arrived: told the size of each piece; it may refuse.
    Raises RefusedRequest (413 too large, 400 when the caller has gone).
    """
    if any(_is_more(declared, max_bytes) for declared in header_values(headers, "content-length")):
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Nobody is left to read this; it only counts as the caller's fault, not as ours.
            raise RefusedRequest("malformed-json", "the body ended early")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        arrived(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(max_bytes: int) -> RefusedRequest:
    return RefusedRequest("too-large", f"send at most {max_bytes} bytes here")


def _is_more(declared: str, max_bytes: int) -> bool:
    # Compared by length first: Python refuses to read numbers of thousands of digits.
    digits = declared.lstrip("0")
    return declared.isascii() and declared.isdigit() and (len(digits) > 12 or int(digits or "0") > max_bytes)


def _parse(content_type: str) -> tuple[str, str]:
    if ";" not in content_type:
        return content_type.strip().lower(), "utf-8"
    media_type, *parameters = (part.strip() for part in content_type.lower().split(";"))
    charset = "utf-8"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            charset = value.strip().strip('"')
    return media_type, charset
