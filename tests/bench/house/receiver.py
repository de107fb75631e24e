"""Receives webhooks for everybody and keeps a journal: `python -m tests.bench.house.receiver PORT JOURNAL`.

One line of JSON for each message, as it comes: {"at": POSIX seconds, "staff": whose address, "id": of the message,
"body": what it says}.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import httptools
import uvloop

from tests.told import Message, read_webhook

HOOKS = "/hook/"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """One message as a person has it. at: POSIX seconds."""

    at: float
    staff: str
    message_id: str
    said: Message

    @property
    def households(self) -> Sequence[str]:
        """The households of which it brings news; a digest names many."""
        return [one.household for one in self.said.alerts if one.household is not None and one.is_new]


def read_journal(journal: Path) -> Iterator[Received]:
    """Read what has come so far; a last line that is not whole yet is left for the next time."""
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8").split("\n")[:-1]:
        entry = json.loads(line)
        yield Received(entry["at"], entry["staff"], entry["id"], read_webhook(entry["body"]))


class _Caller(asyncio.Protocol):
    """One connection, for one request."""

    def __init__(self, journal: IO[bytes]) -> None:
        self._journal = journal
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._message_id = ""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to answer."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Look for the message's id."""
        if name.lower() == b"webhook-id":
            self._message_id = value.decode("ascii")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the message."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Write it down, then say so."""
        path = self._url.decode("ascii")
        if path.startswith(HOOKS):
            staff = path.removeprefix(HOOKS)
            body = b"".join(self._body).decode()
            entry = {"at": time.time(), "staff": staff, "id": self._message_id, "body": body}
            self._journal.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._transport.write(ANSWER)
        self._transport.close()


async def _serve(port: int, journal: Path) -> None:
    with journal.open("ab", buffering=0) as lines:
        server = await asyncio.get_running_loop().create_server(lambda: _Caller(lines), "127.0.0.1", port)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
