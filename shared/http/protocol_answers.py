"""Problem documents in bytes, for requests that never reach the app."""

import json
from collections.abc import Iterable
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from shared.http.catalogue import PROBLEMS
from shared.http.problems import problem_document
from shared.http.protocol_checks import Refusal


def last_answer(refusal: Refusal, base_url: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the answer after which a connection is closed; `headers` are those that every answer carries."""
    status_line = STATUS_LINE[PROBLEMS[refusal.problem].status]
    return b"".join([status_line, *(b"%s: %s\r\n" % header for header in headers), _rest(refusal, base_url)])


# There are a dozen refusals, and as many bases as the machine has addresses.
@lru_cache(maxsize=100)
def _rest(refusal: Refusal, base_url: str) -> bytes:
    document = problem_document(PROBLEMS[refusal.problem], base_url, refusal.detail)
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + body
