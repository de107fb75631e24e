"""A real mail server and a real webhook receiver on loopback, where a local run's alerts arrive.

    python -m deploy.local.sinks --directory DIR --smtp-port N --http-port N

The webhooks' secret comes in the environment variable SINK_WEBHOOK_SECRET.

Each mail is one JSON line in DIR/mail.jsonl, each webhook one in DIR/webhooks.jsonl, and one short line for people
on standard output. Both files are there from the start, empty, for who looks before anything came. A webhook whose
Standard Webhooks signature is wrong is refused with 401, and recorded as refused.
"""

import argparse
import asyncio
import json
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as readable
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.local.ports import LOOPBACK

SECRET_VARIABLE = "SINK_WEBHOOK_SECRET"
MAX_BYTES = 1024 * 1024
READ_SECONDS = 10.0
REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Too Large"}


def received_at() -> str:
    """Now, as an RFC 3339 instant with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def append_line(file: Path, entry: Mapping[str, object]) -> None:
    """Add one JSON line; Chinese stays readable."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry, ensure_ascii=False) + "\n")


class MailSink:
    """Takes every mail and writes it down (aiosmtpd calls `handle_DATA`)."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store one mail: time, addresses, subject, headers and text."""
        content = envelope.original_content or b""
        mail = message_from_bytes(content, policy=readable)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain", "html"))
        entry = {
            "received_at": received_at(),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(mail["subject"] or ""),
            "message_id": str(mail["message-id"] or ""),
            "headers": {key.lower(): str(value) for key, value in mail.items()},
            "text": body.get_content() if body else "",
        }
        append_line(self._file, entry)
        print(f"mail to {', '.join(envelope.rcpt_tos)}: {entry['subject']}", flush=True)
        return "250 Message accepted for delivery"


class WebhookSink:
    """Takes signed webhooks over HTTP/1.1: POST anywhere; GET answers 200, so that one can see it is there."""

    def __init__(self, file: Path, secret: str) -> None:
        self._file = file
        self._verifier = Webhook(secret)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                status = await self._answer(reader)
            head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(head.encode("ascii"))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            print(f"webhook: the connection broke off ({type(error).__name__})", flush=True)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, _, path = first.partition(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if method == "GET":
            return 200
        length = headers.get("content-length", "")
        if method != "POST" or not length.isdecimal():
            return 400
        if int(length) > MAX_BYTES:
            return 413
        return self._take(path.split(" ")[0], headers, await reader.readexactly(int(length)))

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Check the signature, store the webhook; the HTTP status."""
        problem = None
        content: object = None
        try:
            self._verifier.verify(body, headers)
            content = json.loads(body)
        except (WebhookVerificationError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        kept = {name: value for name, value in headers.items() if name.startswith("webhook-")}
        entry = {
            "received_at": received_at(),
            "path": path,
            "verified": problem is None,
            "problem": problem,
            "headers": kept,
            "body": content,
        }
        append_line(self._file, entry)
        said = "signature verified" if problem is None else f"REFUSED, {problem}"
        print(f"webhook {kept.get('webhook-id', '(no id)')} on {path}: {said}", flush=True)
        return 204 if problem is None else 401


async def receive(directory: Path, smtp_port: int, http_port: int, secret: str) -> None:
    """Serve both until SIGTERM or SIGINT. Raises OSError when a port is taken."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    mail_file, webhook_file = directory / "mail.jsonl", directory / "webhooks.jsonl"
    mail_file.touch()
    webhook_file.touch()
    mails = MailSink(mail_file)
    smtp = await loop.create_server(
        lambda: SMTP(mails, hostname="localhost", enable_SMTPUTF8=True, loop=loop), LOOPBACK, smtp_port
    )
    http = await asyncio.start_server(WebhookSink(webhook_file, secret).serve, LOOPBACK, http_port)
    print(f"mail on {LOOPBACK}:{smtp_port}, webhooks on http://{LOOPBACK}:{http_port}/", flush=True)
    await asked.wait()
    smtp.close()
    http.close()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(receive(options.directory, options.smtp_port, options.http_port, os.environ[SECRET_VARIABLE]))


if __name__ == "__main__":
    main()
