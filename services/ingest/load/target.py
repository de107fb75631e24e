"""Where a load is sent, and the heads of its requests in bytes."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

ONE_PATH, ONE_TYPE = "/v1/events", "application/cloudevents+json"
LINES_PATH, LINES_TYPE = "/v1/events/batch", "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Target:
    """An ingest and a key for it. base: path before ours, where a proxy has one."""

    host: str
    port: int
    is_https: bool
    base: str
    key: str = field(repr=False)

    @classmethod
    def of(cls, url: str, key: str) -> Self:
        """Take a URL apart. Raises ValueError, which does not repeat the key."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give the address of ingest, such as http://127.0.0.1:8080")
        if not (key.isascii() and key.isprintable()) or " " in key or not key:
            raise ValueError("the key does not look like one of `shouwang-ingest keys create`")
        is_https = parts.scheme == "https"
        port = parts.port or (443 if is_https else 80)
        return cls(parts.hostname, port, is_https, parts.path.rstrip("/"), key)

    def request(self, bodies: list[bytes], *, is_batch: bool) -> bytes:
        """Write a request with one event, or with a batch of them as lines."""
        body = b"\n".join(bodies) if is_batch else bodies[0]
        return b"%s%d\r\n\r\n%s" % (self.head(is_batch=is_batch), len(body), body)

    def head(self, *, is_batch: bool) -> bytes:
        """Everything before the length of the body."""
        path, content_type = (LINES_PATH, LINES_TYPE) if is_batch else (ONE_PATH, ONE_TYPE)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"POST {self.base}{path} HTTP/1.1\r\nhost: {host}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: {content_type}\r\ncontent-length: "
        ).encode("ascii")
