"""The forms on an alert's page, over a real socket and without scripts: visit, resolve, reopen, comment."""

import re
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.notifier.console.auth import Passwords
from shared.clock import SettableClock
from shared.http.protocol_limits import HttpLimits
from shared.lifecycle import http_server
from shared.metrics import ServiceMetrics
from tests.corpus.real import serving
from tests.fakes.notifier import NOW, make_settings
from tests.integration.test_notifier_console import PASSWORD, House, csrf_of

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(engine):
    passwords = Passwords()
    password_hash = await passwords.hash(PASSWORD)
    made = House(engine, SettableClock(NOW), make_settings(), passwords, password_hash)
    await made.fill()
    server = http_server(made.app, "127.0.0.1", 0, HttpLimits(), ServiceMetrics("tests", CollectorRegistry()))
    async with serving(server) as url:
        made.url = url
        yield made
    passwords.close()


@asynccontextmanager
async def browser(house, staff_id="cadre-1", household_id="H-2"):
    """Somebody who has logged in and looks at one alert."""
    async with httpx2.AsyncClient(base_url=house.url) as client:
        assert (await house.try_log_in(client, staff_id)).status_code == 303
        yield Page(client, f"/alerts/{house.ids[household_id]}", await csrf_of(client))


class Page:
    def __init__(self, client, path, csrf):
        self.client, self.path, self.csrf = client, path, csrf

    async def text(self):
        return (await self.client.get(self.path)).text

    async def send(self, act, **form):
        return await self.client.post(f"{self.path}/{act}", data={"csrf": self.csrf} | form)

    async def acts(self):
        return set(re.findall(rf'action="{self.path}/(\w+)"', await self.text()))


async def test_the_page_offers_what_can_be_done_now_and_shows_who_did_what_in_both_languages(house):
    async with browser(house) as page:
        assert await page.acts() == {"acknowledge", "visit", "comment"}
        assert "措施" in await page.text() and 'value="treat_first"' in await page.text()
        note = "老人在家\r\n<b>已送粮油</b>"
        sent = await page.send("visit", result="relief_given", measures=["treat_first"], note=note)
        assert (sent.status_code, sent.headers["location"]) == (303, page.path)
        assert await page.acts() == {"visit", "resolve", "comment"}
        shown = await page.text()
        for words in ("入户走访", "visited", "张cadre-1", "已给予救助", "先诊疗后付费", "已入户，由张cadre-1负责"):
            assert words in shown
        assert "老人在家\n&lt;b&gt;已送粮油&lt;/b&gt;" in shown
        assert (await page.send("resolve", resolution="measures_done")).status_code == 303
        assert await page.acts() == {"reopen", "comment"}
        assert "措施已落实" in await page.text()
        assert (await page.send("reopen", note="又住院了")).status_code == 303
        assert await page.acts() == {"acknowledge", "visit", "comment"}
        assert (await page.send("comment", note="明天去")).status_code == 303
        shown = await page.text()
        assert shown.index("又住院了") < shown.index("明天去")
        assert not re.search(r"<script|\sstyle=|\son\w+=", shown)


async def test_a_yellow_alert_can_be_resolved_as_soon_as_somebody_holds_it(house):
    async with browser(house, "cadre-2", "H-3") as page:
        assert "resolve" not in await page.acts()
        await page.send("acknowledge")
        assert "resolve" in await page.acts()
        assert (await page.send("resolve", resolution="mistaken")).status_code == 303


async def test_an_old_page_is_told_what_has_changed_and_what_to_do_instead(house):
    async with browser(house) as page:
        refused = await page.send("resolve", resolution="risk_removed")
        assert refused.status_code == 409
        assert "刚刚有变化" in refused.text and "须先入户，再办结" in refused.text
        for act, form in (("visit", {}), ("visit", {"result": "fine"}), ("reopen", {"note": " "}), ("comment", {})):
            incomplete = await page.send(act, **form)
            assert (incomplete.status_code, "表单没有填完整" in incomplete.text) == (422, True), act
        assert {found.status for found in await house.parts.alerts()} == {"open"}


async def test_forged_and_foreign_forms_change_nothing(house):
    forms = {
        "visit": {"result": "stable"},
        "resolve": {"resolution": "mistaken"},
        "reopen": {"note": "x"},
        "comment": {"note": "x"},
    }
    async with browser(house) as page, browser(house, "cadre-2") as foreign:
        for act, form in forms.items():
            assert (await page.send(act, **form | {"csrf": "guess"})).status_code == 403
            assert (await foreign.send(act, **form)).status_code == 404
        assert (await page.text()).count("<blockquote>") == 0
    assert {found.status for found in await house.parts.alerts()} == {"open"}
