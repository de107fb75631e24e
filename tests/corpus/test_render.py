"""Hostile texts, taken by the real ingest and scorer, stay mere text on pages, in mails, webhooks and terminals."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.unpaced import write_unpaced_policies
from services.notifier.app import CONTENT_POLICY
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.console.auth import Passwords
from services.notifier.core.message import plain
from services.notifier.store.why import WhyReader
from services.notifier.why import explain
from services.scorer.explain_command import explain_household, in_words
from services.scorer.store import ScorerStore
from shared.clock import SettableClock, day_of
from shared.db.positions import Positions
from shared.grades import GradeChanged
from shared.policy import load_policies
from tests.conftest import Platform
from tests.corpus.case import named
from tests.corpus.real import real_services
from tests.corpus.render_cases import CASES, TEXTS, household_of
from tests.fakes.ingest_edge import NOW
from tests.fakes.notifier import Parts, deliver_all, make_person, make_settings
from tests.fakes.smtp_receiver import SmtpReceiver, smtp_receiver
from tests.fakes.webhook_receiver import WebhookReceiver, webhook_receiver
from tests.integration.test_notifier_console import PASSWORD, House, csrf_of
from tests.services import rows

pytestmark = pytest.mark.integration
# The text that each household bears.
BORNE: Mapping[str, str] = {
    household_of(name[:3], number): text for name, texts in TEXTS.items() for number, text in enumerate(texts)
}
TAGS = {
    *("html", "head", "meta", "title", "link", "body", "header", "main", "section", "div", "span", "p", "a", "strong"),
    *("h1", "h2", "ul", "ol", "li", "dl", "dt", "dd", "code", "blockquote"),
    *("form", "input", "label", "textarea", "button", "fieldset", "legend", "details", "summary"),
}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, its addresses and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(answer: httpx2.Response) -> Page:
    """Assert that a page holds only what our templates write: no element, handler or address of anybody else's."""
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    page = Page(answer.text)
    assert page.tags <= TAGS, page.tags - TAGS
    assert not {name for name in page.attributes if name.startswith("on") or name in ("style", "srcdoc")}
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.addresses)
    return page


@asynccontextmanager
async def receivers() -> AsyncIterator[tuple[SmtpReceiver, WebhookReceiver]]:
    async with smtp_receiver() as relay, webhook_receiver() as hook:
        yield relay, hook


def event_id(number: int, body: bytes) -> str:
    """An id that holds the text itself, where an id may; written as JSON wants it."""
    source: str = json.loads(body)["source"]
    return json.dumps(f"{number}-{source.removeprefix('urn:app:')}")[1:-1]


async def decided(platform: Platform, engine: AsyncEngine) -> list[GradeChanged]:
    """Send every text through ingest and the scorer; return what the scorer told."""
    clock = SettableClock(NOW)
    async with real_services(platform, engine, clock) as real:
        await real.send_array([named(case.body, event_id(number, case.body)) for number, case in enumerate(CASES)])
        await real.ledger(len(CASES))
    store = ScorerStore(engine, Positions(engine, "test", "test"))
    for household_id in BORNE:
        shown = await explain_household(store, household_id, day_of(NOW), load_policies())
        assert all(line.isprintable() for line in in_words(shown))
        assert shown["alias"] == BORNE[household_id]
    found = await rows(engine, "SELECT change::text AS change FROM grade_transition ORDER BY household_id, version")
    return [GradeChanged.model_validate_json(row.change) for row in found]


async def test_hostile_texts_stay_text_wherever_they_are_shown(
    platform: Platform, engine: AsyncEngine, tmp_path: Path
) -> None:
    changes = await decided(platform, engine)
    assert {change.household_id: change.alias for change in changes} == BORNE
    passwords = Passwords()
    async with receivers() as (relay, hook):
        settings = make_settings(smtp_port=relay.port, policies=write_unpaced_policies(tmp_path / "policies"))
        house = House(engine, SettableClock(NOW), settings, passwords, await passwords.hash(PASSWORD))
        person = make_person("cadre-1", password_hash=house.password_hash, webhook_url=hook.url)
        await house.parts.people(person)
        # One by one: together they would be told in one message.
        told = [await tell(house.parts, change) for change in changes]
        assert sum(told) == 2 * len(BORNE), "by mail and by webhook"
        await check_pages(house)
        passwords.close()
        check_mails(relay)
        check_webhooks(hook)


async def tell(parts: Parts, change: GradeChanged) -> int:
    """How many messages a change led to."""
    await parts.take(change)
    sent = 0
    for channel in (SmtpChannel(parts.settings, parts.clock), WebhookChannel(parts.settings, parts.clock)):
        sent += await deliver_all(parts.lane(channel))
        await channel.close()
    return sent


async def check_pages(house: House) -> None:
    """The list, each alert's page, a note that somebody writes there, the API, and the answer to "why"."""
    async with house.log_in() as client:
        csrf = await csrf_of(client)
        listed = check_page(await client.get("/"))
        for alert in await house.parts.alerts():
            text = BORNE[alert.household_id]
            assert text in listed.text
            form = {"csrf": csrf, "note": text}
            assert (await client.post(f"/alerts/{alert.id}/acknowledge", data=form)).status_code == 303
            page = check_page(await client.get(f"/alerts/{alert.id}"))
            assert page.text.count(text) >= 3, "title, heading and note"
            answer = await client.get(f"/v1/alerts/{alert.id}")
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["alias"] == text
            assert answer.json()["timeline"][-1]["note"] == text
            why = await WhyReader(house.parts.engine).why("", alert.id)
            assert why is not None and all(line.isprintable() for line in explain(why))


def check_mails(relay: SmtpReceiver) -> None:
    written_by_us = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
    added_on_the_way = {"Content-Type", "Content-Transfer-Encoding", "X-Peer", "X-MailFrom", "X-RcptTo"}
    subjects = []
    for mail in relay.mails:
        assert written_by_us <= set(mail.keys()) <= written_by_us | added_on_the_way
        assert mail.get_content_type() == "text/plain"
        assert mail["To"] == "cadre-1@staff.example"
        subjects.append(mail["Subject"])
    for text in BORNE.values():
        assert sum(f"户 {plain(text, 40)} " in subject for subject in subjects) == 1


def check_webhooks(hook: WebhookReceiver) -> None:
    assert all(request.headers["content-type"] == "application/json" for request in hook.journal)
    bodies = [json.loads(request.body) for request in hook.journal]
    assert {body["household_id"]: body["alias"] for body in bodies} == {
        household_id: plain(text, 40) for household_id, text in BORNE.items()
    }
