"""An ingest on a real socket that answers as a script says; it looks into the client's journal when a request comes."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.journal import read_journal

_SLUGS = {
    503: "log-unavailable",
    429: "too-many-requests",
    422: "invalid-event",
    400: "malformed-json",
    408: "too-slow",
    500: "internal",
}


@dataclass
class ScriptedIngest:
    """answers: words for the next requests, then `always`.

    Words: a status ("202"), a status with Retry-After ("503:1"), hang (no answer), reset (nothing kept), take_and_reset
    (kept, then reset), page (202 with a page that is no JSON); for batches "mixed": the events are in turn accepted,
    not accepted and refused.
    """

    journal: Path
    port: int = 0
    answers: list[str] = field(default_factory=list)
    always: str = "202"
    bodies: list[bytes] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    open_now: Counter[str] = field(default_factory=Counter)
    most_open_for_one_household: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length"))
                alone = lines[0].startswith("post /v1/events http")
                await self._answer(await reader.readexactly(length), alone, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client went away; so does this connection.
            writer.transport.abort()

    async def _answer(self, body: bytes, alone: bool, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(body)
        try:
            events = _events(body)
        except ValueError:
            await _reply(writer, 400, json.dumps(_problem(400)).encode())
            return
        self._look_into_journal(events)
        households = {event.get("subject", "nobody") for event in events}
        self.open_now.update(households)
        self.most_open_for_one_household = max(
            self.most_open_for_one_household, *(self.open_now[name] for name in households)
        )
        try:
            await self._say(self.answers.pop(0) if self.answers else self.always, events, alone, writer)
        finally:
            self.open_now.subtract(households)

    def _look_into_journal(self, events: list[dict[str, Any]]) -> None:
        invoked = {line["id"] for line in read_journal(self.journal) if line["op"] == "invoke"}
        self.unannounced += [event["id"] for event in events if event["id"] not in invoked]

    async def _say(self, word: str, events: list[dict[str, Any]], alone: bool, writer: asyncio.StreamWriter) -> None:
        match word.split(":"):
            case ["hang"]:
                await asyncio.sleep(60)
            case ["reset"]:
                raise ConnectionResetError
            case ["take_and_reset"]:
                self.kept += events
                raise ConnectionResetError
            case ["page"]:
                await _reply(writer, 202, b"<html>")
            case ["mixed"]:
                await _reply(writer, 207, _batch(events, ["accepted", "not_accepted", "refused"]))
            case ["202"]:
                self.kept += events
                body = json.dumps(_accepted(events[0])).encode() if alone else _batch(events, ["accepted"])
                await _reply(writer, 202, body)
            case [status, *wait]:
                await _reply(writer, int(status), json.dumps(_problem(int(status))).encode(), *wait)


def _events(body: bytes) -> list[dict[str, Any]]:
    if body.startswith(b"["):
        return [dict(event) for event in json.loads(body)]
    return [json.loads(line) for line in body.split(b"\n")]


def _accepted(event: dict[str, Any]) -> dict[str, Any]:
    return {"id": event["id"], "status": "accepted", "partition": 1, "offset": 7}


def _problem(status: int) -> dict[str, Any]:
    return {"type": f"http://ingest.test/problems/{_SLUGS.get(status, 'other')}", "status": status}


def _batch(events: list[dict[str, Any]], words: list[str]) -> bytes:
    results = []
    for index, event in enumerate(events):
        word = words[index % len(words)]
        result = {"index": index, **(_accepted(event) if word == "accepted" else {"id": event["id"], "status": word})}
        results.append(
            result | ({} if word == "accepted" else {"problem": _problem(422 if word == "refused" else 503)})
        )
    return json.dumps({"results": results}).encode()


async def _reply(writer: asyncio.StreamWriter, status: int, body: bytes, *retry_after: str) -> None:
    media_type = "application/problem+json" if status >= 400 else "application/json"
    lines = [f"HTTP/1.1 {status} X", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines += [f"retry-after: {wait}" for wait in retry_after]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


@asynccontextmanager
async def scripted_ingest(journal: Path) -> AsyncIterator[ScriptedIngest]:
    """Run one on a free port of the loopback."""
    ingest = ScriptedIngest(journal)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(ingest.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    ingest.port = server.sockets[0].getsockname()[1]
    try:
        yield ingest
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if ended is not None and not isinstance(ended, asyncio.CancelledError):
                raise ended
