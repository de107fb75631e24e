import json
import os
import smtplib
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from deploy.local.places import REPOSITORY
from deploy.local.ports import free_port
from deploy.local.secrets_file import RunSecrets
from deploy.local.sinks import SECRET_VARIABLE
from tests.platform.waiting import eventually


@dataclass(frozen=True)
class Sinks:
    directory: Path
    smtp_port: int
    http_port: int
    secret: str

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.directory / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def sinks(tmp_path: Path) -> Iterator[Sinks]:
    made = Sinks(tmp_path, free_port(0), free_port(0), RunSecrets.load(tmp_path).webhook_secret)
    ports = ["--smtp-port", str(made.smtp_port), "--http-port", str(made.http_port)]
    argv = [sys.executable, "-m", "deploy.local.sinks", "--directory", str(tmp_path), *ports]
    log = tmp_path / "sinks.log"
    with log.open("wb") as output:
        environment = {**os.environ, SECRET_VARIABLE: made.secret}
        process = subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    try:
        assert eventually(lambda: "webhooks on" in log.read_text(encoding="utf-8"))
        yield made
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_both_files_are_there_before_anything_came(sinks: Sinks) -> None:
    assert sinks.lines("mail.jsonl") == sinks.lines("webhooks.jsonl") == []


def test_a_mail_is_written_down_with_a_readable_chinese_subject(sinks: Sinks) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shouwang@localhost", "duty@localhost", "红色预警：需要上门"
    mail.set_content("户 990101 的大病支出")
    with smtplib.SMTP("127.0.0.1", sinks.smtp_port, timeout=5) as client:
        client.send_message(mail)

    [line] = sinks.lines("mail.jsonl")
    assert line["subject"] == "红色预警：需要上门"
    assert line["to"] == ["duty@localhost"]
    assert "大病支出" in str(line["text"])
    assert "红色预警" in (sinks.directory / "sinks.log").read_text(encoding="utf-8")


def post(sinks: Sinks, body: bytes, signed: bytes) -> int:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(sinks.secret).sign("msg_1", now, signed.decode()),
    }
    request = urllib.request.Request(f"http://127.0.0.1:{sinks.http_port}/alerts", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_signed_webhook_is_taken_and_a_tampered_one_refused_and_both_are_written_down(sinks: Sinks) -> None:
    body = json.dumps({"grade": "red"}).encode()

    assert post(sinks, body, signed=body) == 204
    assert post(sinks, body.replace(b"red", b"blue"), signed=body) == 401
    good, bad = sinks.lines("webhooks.jsonl")
    assert (good["verified"], good["body"]) == (True, {"grade": "red"})
    assert (bad["verified"], bad["body"]) == (False, None)
