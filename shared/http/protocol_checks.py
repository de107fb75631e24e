"""What a request's head must look like, beyond what the parser already insists on.

The parser refuses by itself: two lengths, a length beside a transfer coding, lengths and chunk sizes that are no
numbers, folded lines, bare line feeds, control characters, and versions that do not exist.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.http.protocol_limits import MAX_HEAD_BYTES, MAX_HEAD_LINES

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://[^/?#]+/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the server itself ends a connection.

    problem: slug in the error catalogue. reason: label of the metric. detail: one sentence for the caller.
    """

    problem: str
    reason: str
    detail: str
    retry_after_seconds: int | None = None


class Refused(Exception):
    """Carries a refusal out of a parser's callback."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


SYNTAX = Refusal("malformed-request", "syntax", "the request is not written as HTTP/1.1 (RFC 9112) wants it")
FRAMING = Refusal("malformed-request", "framing", "the chunks of the body are not written as RFC 9112 wants them")
VERSION = Refusal("malformed-request", "version", "send HTTP/1.1")
HOST = Refusal("malformed-request", "host", "send one Host header that names this server")
TRANSFER_CODING = Refusal("malformed-request", "transfer_coding", "the only Transfer-Encoding here is chunked")
TARGET = Refusal("malformed-request", "target", "the target of a request is a path, with no fragment")
CUT_SHORT = Refusal("malformed-request", "cut_short", "the request ended before its time")
PATH = Refusal("not-found", "path", "a path here has no dot segments and no encoded separators")
TARGET_TOO_LONG = Refusal("target-too-long", "target_too_long", "")
HEAD_TOO_LARGE = Refusal("head-too-large", "head_too_large", "")
METHOD = Refusal("unknown-method", "method", "")
TOO_SLOW = Refusal("too-slow", "too_slow", "")
TOO_MANY = Refusal("too-many-connections", "too_many", "", retry_after_seconds=1)

PROTOCOL_ERRORS = (
    *(SYNTAX, FRAMING, VERSION, HOST, TRANSFER_CODING, TARGET, CUT_SHORT, PATH),
    *(TARGET_TOO_LONG, HEAD_TOO_LARGE, METHOD),
)


def fault_of_head(
    method: bytes,
    version: str,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    opaque_below: bytes | None,
) -> Refusal | None:
    """Judge a complete head; names of headers are in lower case."""
    if version not in ("1.1", "1.0"):
        return VERSION
    size, hosts, host = len(target), 0, b""
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts, host = hosts + 1, value
        elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
            return TRANSFER_CODING
    if size > MAX_HEAD_BYTES or len(headers) > MAX_HEAD_LINES:
        return HEAD_TOO_LARGE
    if not (hosts == 1 and _HOST.fullmatch(host)) and (hosts or version != "1.0"):
        return HOST
    if method == b"CONNECT":
        return METHOD
    return _fault_of_target(method, target, opaque_below)


def _fault_of_target(method: bytes, target: bytes, opaque_below: bytes | None) -> Refusal | None:
    is_path = target.startswith(b"/") or _ABSOLUTE.match(target) or (target == b"*" and method == b"OPTIONS")
    if not is_path or b"#" in target:
        return TARGET
    path = target.partition(b"?")[0].lower()
    if b"%" not in path and b"/." not in path and b"\\" not in path:
        return None
    if opaque_below is not None and method == b"GET" and target.startswith(opaque_below):
        return None
    if any(mark in path for mark in (b"%2f", b"%5c", b"%00", b"\\")):
        return PATH
    segments = path.replace(b"%2e", b".").split(b"/")
    return PATH if b"." in segments or b".." in segments else None
