"""Console and API: who may see and do what, logins, forged requests, and pages that cannot be broken out of."""

import re
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text, update

from services.notifier.console.auth import GUESSES_PER_ACCOUNT, Passwords
from services.notifier.console.queries import PAGE, ConsoleQueries
from services.notifier.console.routes import local_path
from services.notifier.core.sms_replies import ReplyOutcome, Told
from services.notifier.metrics import NotifierMetrics
from services.notifier.routes import BODY_LIMIT_BYTES
from services.notifier.store.rows import Contact
from services.notifier.store.sms_replies import SmsReplies
from services.notifier.store.stores import Stores
from services.notifier.wiring import Web
from shared.access import Scopes
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.db.access_keys import AccessKeys
from shared.db.session import transaction
from shared.db.tables.common import audit_entry
from shared.db.tables.notifier import delivery, digest, session
from shared.http.bearer import KeyCache
from shared.http.health import HttpMetrics
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from tests.fakes.notifier import (
    COUNTY,
    NOW,
    OTHER_VILLAGE,
    PROVINCE,
    TOWNSHIP,
    VILLAGE,
    WORDING,
    Parts,
    make_change,
    make_person,
    make_settings,
)

pytestmark = pytest.mark.integration
PASSWORD = "correct horse battery"
EXAMPLES = Path(__file__).parents[2] / "shared" / "policies" / "examples"
THREE_COLOURS = "990300101201"
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def passwords():
    made = Passwords()
    yield made
    made.close()


@pytest.fixture(scope="module")
async def password_hash(passwords):
    return await passwords.hash(PASSWORD)


class House:
    """The web app on the test's database, with people, alerts and keys."""

    def __init__(self, engine, clock, settings, passwords, password_hash):
        self.engine, self.clock, self.settings, self.password_hash = engine, clock, settings, password_hash
        self.parts = Parts(engine, clock, settings)
        self.keys = KeyCache(AccessKeys(engine), clock)
        registry = self.registry = CollectorRegistry()
        metrics = ServiceMetrics("notifier", registry)
        web = Web(
            settings,
            clock,
            load_policies(settings.policies),
            self.keys,
            passwords,
            NotifierMetrics(metrics),
            HttpMetrics(metrics),
            registry,
            WORDING,
        )
        self.app = web.app(Stores.on(engine), ConsoleQueries(engine), {})

    def client(self, **headers):
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=self.settings.public_url, headers=headers)

    async def fill(self):
        people = [
            make_person("cadre-1", password_hash=self.password_hash),
            make_person("cadre-2", division=OTHER_VILLAGE, password_hash=self.password_hash),
            make_person("town-1", "township", TOWNSHIP, password_hash=self.password_hash),
            make_person("county-1", "county", COUNTY, password_hash=self.password_hash),
            make_person("duty", "duty_officer", PROVINCE, password_hash=self.password_hash),
        ]
        await self.parts.people(*people)
        await self.parts.take(make_change("orange", household_id="H-1", alias=SCRIPT))
        self.clock.move(timedelta(minutes=1))
        await self.parts.take(make_change("red", household_id="H-2"))
        self.clock.move(timedelta(minutes=1))
        await self.parts.take(make_change("yellow", household_id="H-3", division=OTHER_VILLAGE))
        self.ids = {found.household_id: found.id for found in await self.parts.alerts()}

    async def key(self, division="99", **scopes):
        made = await AccessKeys(self.engine).create(
            "test", Scopes(division=division, **({"read_alerts": True, "act_on_alerts": True} | scopes)), actor="test"
        )
        await self.keys.refresh()
        return self.client(authorization=f"Bearer {made}")

    @asynccontextmanager
    async def log_in(self, staff_id="cadre-1"):
        async with self.client() as client:
            answer = await self.try_log_in(client, staff_id)
            assert answer.status_code == 303, answer.text
            yield client

    async def try_log_in(self, client, staff_id="cadre-1", password=PASSWORD, *, next="/"):
        page = await client.get("/login")
        token = re.search(r'name="token" value="([^"]+)"', page.text)[1]
        form = {"staff_id": staff_id, "password": password, "token": token, "next": next}
        return await client.post("/login", data=form)


@pytest.fixture
async def house(engine, passwords, password_hash):
    made = House(engine, SettableClock(NOW), make_settings(), passwords, password_hash)
    await made.keys.refresh()
    await made.fill()
    return made


async def csrf_of(client):
    page = await client.get("/")
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


# --- who may see what


async def test_every_route_without_login_is_refused(house):
    """Each route of the app is visited without login; a new one that answers 200 fails here until it is listed."""
    alert_id = house.ids["H-2"]
    open_to_all = {
        "/login",
        "/livez",
        "/readyz",
        "/metrics",
        "/problems",
        "/problems/{slug}",
        "/openapi.json",
        "/static/grades.css",
        "/sign/{signed:path}",
    }
    seen = 0
    async with house.client() as client:
        for path, methods in routes_of(house.app):
            for method in methods:
                answer = await client.request(method, address_of(path, alert_id))
                if path in open_to_all:
                    continue
                if path == "/v1/sms-replies/{secret}":
                    # For no person and no key: who does not know the secret is not told that there is such a place.
                    assert answer.status_code == 404, (method, path)
                    continue
                seen += 1
                if path.startswith("/v1/"):
                    assert answer.status_code == 401, (method, path)
                    assert answer.headers["content-type"] == "application/problem+json"
                else:
                    assert answer.status_code == 303, (method, path)
                    assert answer.headers["location"].startswith("/login"), (method, path)
    assert seen == 21


def address_of(path, alert_id):
    return path.replace("{alert_id}", alert_id).replace("{slug}", "x").replace("{digest_id}", "d" + "0" * 24)


def routes_of(app):
    found = []
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None and not hasattr(route, "methods"):
            waiting += inner.routes
            continue
        if getattr(route, "methods", None):
            found.append((route.path, sorted(route.methods - {"HEAD"})))
    return found


@pytest.mark.parametrize(
    ("staff_id", "sees"),
    [
        ("cadre-1", {"H-1", "H-2"}),
        ("cadre-2", {"H-3"}),
        ("town-1", {"H-1", "H-2"}),
        ("county-1", {"H-1", "H-2", "H-3"}),
        ("duty", {"H-1", "H-2", "H-3"}),
    ],
)
async def test_staff_see_the_alerts_of_their_own_division_only(house, staff_id, sees):
    async with house.log_in(staff_id) as client:
        page = (await client.get("/")).text
        listed = (await client.get("/v1/alerts")).json()["items"]
        assert {one["household_id"] for one in listed} == sees
        for household_id, alert_id in house.ids.items():
            allowed = household_id in sees
            assert (alert_id in page) is allowed
            assert (await client.get(f"/alerts/{alert_id}")).status_code == (200 if allowed else 404)
            assert (await client.get(f"/v1/alerts/{alert_id}")).status_code == (200 if allowed else 404)
            if not allowed:
                form = {"csrf": await csrf_of(client)}
                assert (await client.post(f"/alerts/{alert_id}/acknowledge", data=form)).status_code == 404
    assert {found.status for found in await house.parts.alerts()} == {"open"}


async def digest_of(house, *changes, channel="smtp"):
    """The name of a digest that tells the county of some changes."""
    await house.parts.take(*changes)
    await house.parts.claims.claim(
        ChannelName(channel), "test", now=house.clock.now(), lease=timedelta(minutes=1), most=9, busy=[]
    )
    async with transaction(house.engine) as connection:
        found = await connection.execute(select(digest.c.digest_id).where(digest.c.staff_id == "county-1"))
        return found.scalar_one()


@pytest.mark.parametrize(
    ("staff_id", "sees"),
    [
        ("cadre-1", {"H-2", "D-1"}),
        ("cadre-2", {"D-2"}),
        ("town-1", {"H-2", "D-1"}),
        ("county-1", {"H-2", "D-1", "D-2"}),
        ("duty", {"H-2", "D-1", "D-2"}),
    ],
)
async def test_the_page_of_a_digest_lists_its_alerts_to_each_as_far_as_their_own_division_goes(house, staff_id, sees):
    changes = (make_change("red", household_id="D-1"), make_change("red", household_id="D-2", division=OTHER_VILLAGE))
    digest_id = await digest_of(house, *changes)
    async with house.log_in(staff_id) as client:
        page = await client.get(f"/digests/{digest_id}")
        assert page.status_code == 200
        ids = {one.household_id: one.id for one in await house.parts.alerts()}
        assert {household for household, alert_id in ids.items() if f"/alerts/{alert_id}" in page.text} == sees
        assert f"汇总通知：{len(sees)}户" in page.text
        assert "<script" not in page.text
        # A text message's template ends in one name, of an alert or of a digest.
        answer = await client.get(f"/alerts/{digest_id}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/digests/{digest_id}")


async def test_a_digest_outside_of_ones_division_looks_like_none_and_the_login_leads_back_to_it(house):
    digest_id = await digest_of(house, make_change("red", household_id="D-1"))
    async with house.log_in("cadre-2") as client:
        foreign, absent = await client.get(f"/digests/{digest_id}"), await client.get("/digests/d" + "0" * 24)
        odd = await client.get("/digests/..%2f..%2fetc")
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.text == absent.text
    assert odd.status_code == 404
    async with house.client() as client:
        answer = await client.get(f"/digests/{digest_id}")
        assert answer.headers["location"] == f"/login?next=%2Fdigests%2F{digest_id}"


async def test_a_long_digest_has_pages_and_marks_what_was_new(house):
    flood = [make_change("red", household_id=f"D-{number:03d}", causes=("disaster",)) for number in range(PAGE + 5)]
    await digest_of(house, *flood[:PAGE])
    house.clock.move(timedelta(minutes=11))
    async with transaction(house.engine) as connection:
        await connection.execute(update(delivery).values(status="sent"))
        await connection.execute(update(digest).values(staff_id="duty"))
    digest_id = await digest_of(house, *flood[PAGE:])
    async with house.log_in("county-1") as client:
        first = await client.get(f"/digests/{digest_id}")
        following = re.search(rf'href="(/digests/{digest_id}\?after=[^"]+)"', first.text)[1]
        second = await client.get(following.replace("&amp;", "&"))
    cards = first.text.count('<li class="card'), second.text.count('<li class="card')
    assert cards == (PAGE, 5)
    assert (first.text + second.text).count("本次新增") == 5


@pytest.mark.parametrize(
    ("division", "sees"),
    [("99", {"H-1", "H-2", "H-3"}), ("990100101", {"H-1", "H-2"}), (OTHER_VILLAGE, {"H-3"}), ("98", set())],
)
async def test_a_key_reads_within_its_division_and_absent_looks_like_foreign(house, division, sees):
    async with await house.key(division) as client:
        listed = await client.get("/v1/alerts")
        assert {one["household_id"] for one in listed.json()["items"]} == sees
        absent = await client.get("/v1/alerts/0000000000000000")
        for household_id, alert_id in house.ids.items():
            answer = await client.get(f"/v1/alerts/{alert_id}")
            assert answer.status_code == (200 if household_id in sees else 404)
            if household_id not in sees:
                assert answer.json() == absent.json()


async def test_scopes_of_a_key_are_enforced(house):
    path = f"/v1/alerts/{house.ids['H-2']}"
    async with await house.key(read_alerts=False) as blind, await house.key(act_on_alerts=False) as idle:
        assert (await blind.get(path)).status_code == 403
        assert (await idle.get(path)).status_code == 200
        assert (await idle.post(f"{path}/acknowledge")).status_code == 403
    async with house.client(authorization="Bearer swnothing.secret") as unknown:
        assert (await unknown.get(path)).status_code == 401


# --- the API


async def test_an_alert_has_the_promised_shape(house):
    async with await house.key() as client:
        found = (await client.get(f"/v1/alerts/{house.ids['H-2']}")).json()
    promised = "id household_id alias division grade status opened_at owner reasons measures plan deliveries"
    assert set(promised.split()) <= set(found)
    assert (found["grade"], found["status"], found["owner"], found["division"]) == ("red", "open", None, VILLAGE)
    assert set(found["reasons"][0]) == {"code", "text_zh", "text_en"}
    assert {"step", "due_at"} <= set(found["plan"][0])
    assert {"recipient", "channel", "status", "attempts", "receipt"} <= set(found["deliveries"][0])
    assert found["deliveries"][0]["recipient"] == "cadre-1"
    assert [step["kind"] for step in found["timeline"]] == ["opened"]


async def test_a_list_is_paged_by_key_newest_first_and_ends_with_null(house):
    async with await house.key() as client:
        seen, cursor = [], None
        while True:
            page = (await client.get("/v1/alerts", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
            seen += [one["household_id"] for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
    assert seen == ["H-3", "H-2", "H-1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("household_id=H-2", {"H-2"}),
        ("grade=red", {"H-2"}),
        ("status=open", {"H-1", "H-2", "H-3"}),
        ("status=resolved", set()),
        (f"division={TOWNSHIP}", {"H-1", "H-2"}),
        ("division=990100102", {"H-3"}),
        ("grade=orange&division=99", {"H-1"}),
    ],
)
async def test_a_list_can_be_filtered(house, query, found):
    async with await house.key() as client:
        answer = await client.get(f"/v1/alerts?{query}")
    assert {one["household_id"] for one in answer.json()["items"]} == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "grade=crimson",
        "status=gone",
        "division=99%25",
        "household_id=%00",
        "household_id=a%20b",
        "cursor=nonsense",
        "cursor=W10",
        "cursor=WyIyMDI2LTAxLTAxIiwgIngiXQ",
        "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwieCJd",
        "cursor=" + "x" * 201,
    ],
)
async def test_unusable_parameters_are_told_without_repeating_them(house, query):
    async with await house.key() as client:
        answer = await client.get(f"/v1/alerts?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"]
    assert "crimson" not in answer.text


async def test_acknowledging_is_owning_repeats_change_nothing_and_others_must_take_over(house):
    path = f"/v1/alerts/{house.ids['H-2']}/acknowledge"
    async with await house.key() as first, await house.key() as second:
        taken = await first.post(path, json={"note": "已电话联系"})
        assert (taken.status_code, taken.json()["status"]) == (200, "acknowledged")
        owner = taken.json()["owner"]
        assert owner.startswith("key:")
        repeat = await first.post(path)
        assert repeat.status_code == 200
        assert repeat.json()["timeline"] == taken.json()["timeline"]
        refused = await second.post(path)
        assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
        over = await second.post(path, json={"take_over": True})
        assert over.status_code == 200
        assert over.json()["owner"] not in (None, owner)
        assert [step["kind"] for step in over.json()["timeline"]] == ["opened", "acknowledged", "taken_over"]
    async with transaction(house.engine) as connection:
        actions = (await connection.execute(select(audit_entry.c.action))).scalars().all()
    assert [action for action in actions if action.startswith("alert.")] == ["alert.acknowledged", "alert.taken_over"]


async def test_a_closed_alert_cannot_be_acknowledged(house):
    async with transaction(house.engine) as connection:
        await connection.execute(text("UPDATE alert SET status = 'resolved' WHERE household_id = 'H-2'"))
    async with await house.key() as client:
        assert (await client.post(f"/v1/alerts/{house.ids['H-2']}/acknowledge")).status_code == 409


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"not json", "application/json", 400),
        (b'{"note":"a","note":"b"}', "application/json", 400),
        (b'{"note":1}', "application/json", 422),
        (b'{"owner":"me"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"note":"' + b"x" * 1_001 + b'"}', "application/json", 422),
        (b"note=a", "application/x-www-form-urlencoded", 415),
        (b'{"note":"a"}', "text/plain", 415),
        (b" " * (BODY_LIMIT_BYTES + 1), "application/json", 413),
    ],
)
async def test_unusable_bodies_are_refused_and_change_nothing(house, content, content_type, status):
    path = f"/v1/alerts/{house.ids['H-2']}/acknowledge"
    async with await house.key() as client:
        answer = await client.post(path, content=content, headers={"content-type": content_type})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get(path.removesuffix("/acknowledge"))).json()["status"] == "open"


async def test_a_body_of_undeclared_size_is_cut_off_too(house):
    async def endless():
        for _ in range(1_000):
            yield b" " * 1_000

    path = f"/v1/alerts/{house.ids['H-2']}/acknowledge"
    async with await house.key() as client, house.client() as stranger:
        answer = await client.post(path, content=endless(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await stranger.post("/login", content=endless(), headers=form)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("alert_id", ["%00", "..%2f", "x" * 500, "%F0%9F%92%A5", "a'b"])
async def test_strange_alert_ids_are_simply_not_found(house, alert_id):
    async with await house.key() as client, house.log_in() as person:
        assert (await client.get(f"/v1/alerts/{alert_id}")).status_code == 404
        assert (await client.post(f"/v1/alerts/{alert_id}/acknowledge")).status_code == 404
        assert (await person.get(f"/alerts/{alert_id}")).status_code == 404


async def test_a_session_acts_through_the_api_only_with_its_token(house):
    path = f"/v1/alerts/{house.ids['H-2']}/acknowledge"
    async with house.log_in() as client:
        assert (await client.post(path)).status_code == 403
        assert (await client.post(path, headers={"x-csrf-token": "guess"})).status_code == 403
        answer = await client.post(path, headers={"x-csrf-token": await csrf_of(client)})
        assert (answer.status_code, answer.json()["owner"]) == (200, "cadre-1")


# --- logins


async def test_a_login_leads_back_to_the_page_that_asked_for_it(house):
    path = f"/alerts/{house.ids['H-2']}"
    async with house.client() as client:
        asked = await client.get(path)
        assert asked.headers["location"] == f"/login?next={path.replace('/', '%2F')}"
        form = await client.get(asked.headers["location"])
        assert f'name="next" value="{path}"' in form.text
        answer = await house.try_log_in(client, next=path)
        assert answer.headers["location"] == path
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        ("/alerts/1?x=2", "/alerts/1?x=2"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(given, goes):
    assert local_path(given) == goes


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites_and_is_new_at_each_login(house):
    async with house.client() as client:
        cookies = []
        for _ in range(2):
            answer = await house.try_log_in(client)
            (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("shouwang=")]
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()
            assert "Max-Age=28800" in cookie
            cookies.append(cookie)
            client.cookies.delete("shouwang")
        assert cookies[0] != cookies[1]
    async with transaction(house.engine) as connection:
        stored = (await connection.execute(select(session.c.token_sha256))).scalars().all()
    assert all(len(one) == 32 for one in stored)


async def test_over_https_the_cookie_is_secure_and_bound_to_the_host(engine, passwords, password_hash):
    settings = make_settings(public_url="https://console.test")
    house = House(engine, SettableClock(NOW), settings, passwords, password_hash)
    await house.parts.people(make_person("cadre-1", password_hash=password_hash))
    async with house.client() as client:
        answer = await house.try_log_in(client)
        (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-shouwang=")]
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize(
    ("staff_id", "password"),
    [("cadre-1", "wrong password"), ("nobody", PASSWORD), ("grid-1", PASSWORD), ("\x00", "x"), ("left", PASSWORD)],
)
async def test_every_refused_login_looks_the_same(house, staff_id, password):
    await house.parts.people(
        make_person("grid-1", "grid"), make_person("left", password_hash=house.password_hash, active=False)
    )
    async with house.client() as client:
        answer = await house.try_log_in(client, staff_id, password)
    assert answer.status_code == 401
    assert "账号或密码不正确" in answer.text
    assert "shouwang=" not in answer.headers.get("set-cookie", "")


async def test_guessing_is_limited_per_account_whether_it_exists_or_not(house):
    for staff_id in ("cadre-1", "nobody"):
        async with house.client() as client:
            answers = [
                (await house.try_log_in(client, staff_id, "wrong password")).status_code
                for _ in range(GUESSES_PER_ACCOUNT + 1)
            ]
        assert answers == [401] * GUESSES_PER_ACCOUNT + [429]
    async with house.client() as client:
        limited = await house.try_log_in(client)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "900")
        house.clock.move(timedelta(minutes=16))
        assert (await house.try_log_in(client)).status_code == 303


async def test_a_session_ends_when_unused_after_eight_hours_at_logout_and_when_the_person_leaves(house):
    async with house.log_in() as client:
        house.clock.move(timedelta(minutes=14))
        assert (await client.get("/")).status_code == 200
        house.clock.move(timedelta(minutes=16))
        assert (await client.get("/")).status_code == 303
    async with house.log_in() as client:
        for _ in range(48):
            house.clock.move(timedelta(minutes=10))
            last = await client.get("/")
        assert last.status_code == 303
    async with house.log_in() as client:
        token = client.cookies["shouwang"]
        assert (await client.post("/logout", data={"csrf": await csrf_of(client)})).status_code == 303
        client.cookies.set("shouwang", token)
        assert (await client.get("/")).status_code == 303
    async with house.log_in() as client:
        await house.parts.people(make_person("cadre-1", active=False))
        assert (await client.get("/")).status_code == 303


async def test_a_new_password_ends_all_sessions(house, passwords):
    async with house.log_in() as client:
        assert await house.parts.directory.set_password("cadre-1", await passwords.hash("another long one"))
        assert (await client.get("/")).status_code == 303


async def test_a_moved_person_sees_the_new_division_at_once(house):
    async with house.log_in() as client:
        await house.parts.people(make_person("cadre-1", division=OTHER_VILLAGE))
        assert (await client.get(f"/alerts/{house.ids['H-2']}")).status_code == 404
        assert (await client.get(f"/alerts/{house.ids['H-3']}")).status_code == 200


# --- forged requests


async def test_a_forged_form_changes_nothing(house):
    path = f"/alerts/{house.ids['H-2']}/acknowledge"
    async with house.log_in() as client:
        csrf = await csrf_of(client)
        for form, headers in (
            ({}, {}),
            ({"csrf": "guess"}, {}),
            ({"csrf": csrf}, {"origin": "https://evil.example"}),
            ({"csrf": csrf}, {"sec-fetch-site": "cross-site"}),
            ({"csrf": csrf}, {"sec-fetch-site": "same-site", "origin": "null"}),
        ):
            assert (await client.post(path, data=form, headers=headers)).status_code == 403
        assert (await client.post("/logout", data={})).status_code == 403
        assert {found.status for found in await house.parts.alerts()} == {"open"}
        # A browser under our Referrer-Policy names no origin, not even for our own form.
        own = {"origin": "null", "sec-fetch-site": "same-origin"}
        assert (await client.post(path, data={"csrf": csrf}, headers=own)).status_code == 303


async def test_a_forged_login_is_refused(house):
    form = {"staff_id": "cadre-1", "password": PASSWORD, "token": "guess", "next": "/"}
    async with house.client() as client:
        assert (await client.post("/login", data=form)).status_code == 403
        await client.get("/login")
        assert (await client.post("/login", data=form)).status_code == 403
        assert (await client.get("/")).status_code == 303


# --- pages


async def test_the_front_page_lists_the_worst_first_with_grade_age_and_reasons(house):
    async with house.log_in("county-1") as client:
        page = (await client.get("/")).text
    assert [page.index(house.ids[one]) for one in ("H-2", "H-1", "H-3")] == sorted(
        page.index(one) for one in house.ids.values()
    )
    for words in (
        "▲",
        "红色",
        "◆",
        "橙色",
        "■",
        "黄色",
        "某村",
        "别村",
        "自付60,000元",
        "待签收",
        "1分钟前",
        "还剩1小时59分钟",
    ):
        assert words in page
    assert 'lang="zh-CN"' in page
    assert "width=device-width" in page


async def test_taking_an_alert_on_shows_who_holds_it(house):
    path = f"/alerts/{house.ids['H-2']}"
    async with house.log_in() as client, house.log_in("county-1") as other:
        form = {"csrf": await csrf_of(client), "note": "已联系 <b>户主</b>"}
        assert (await client.post(f"{path}/acknowledge", data=form)).headers["location"] == path
        page = (await other.get(path)).text
        assert "已签收，由张cadre-1负责" in page
        assert "已联系 &lt;b&gt;户主&lt;/b&gt;" in page
        assert "接手，由我负责" in page
        late = await other.post(f"{path}/acknowledge", data={"csrf": await csrf_of(other)})
        assert late.status_code == 409
        assert "刚刚有变化" in late.text
        over = {"csrf": await csrf_of(other), "take_over": "yes"}
        assert (await other.post(f"{path}/acknowledge", data=over)).status_code == 303
        assert "张county-1" in (await client.get("/")).text


async def test_what_comes_from_outside_is_escaped(house):
    async with house.log_in() as client:
        for path in ("/", f"/alerts/{house.ids['H-1']}"):
            page = (await client.get(path)).text
            assert "&lt;script&gt;" in page
            assert "<script" not in page
            assert not re.search(r"\sstyle=|\son\w+=", page)


async def test_an_empty_list_says_that_all_is_quiet(house):
    async with transaction(house.engine) as connection:
        await connection.execute(text("UPDATE alert SET status = 'resolved'"))
    async with house.log_in() as client:
        assert "一切平稳" in (await client.get("/")).text


async def test_a_long_list_goes_on_from_page_to_page(house):
    many = [make_change("red", household_id=f"M-{number:03d}") for number in range(230)]
    await house.parts.take(*many)
    async with house.log_in() as client:
        seen, following = [], "/"
        while following:
            page = (await client.get(following)).text
            seen += re.findall(r'href="/alerts/(\w+)"', page)
            found = re.search(r'href="(/\?after=[^"]+)"', page)
            following = found[1] if found else None
        assert len(seen) == len(set(seen)) == 232
        for nonsense in ("x", "4~~", "9~2026-01-01~a", "4~never~abc", "%00~a~b"):
            assert (await client.get(f"/?after={nonsense}")).status_code == 200


async def test_every_answer_carries_the_protecting_headers(house):
    async with house.client() as stranger, house.log_in() as client:
        answers = [
            await stranger.get("/login"),
            await stranger.get("/v1/alerts"),
            await stranger.get("/nothing"),
            await stranger.get("/static/console.css"),
            await stranger.get("/static/grades.css"),
            await client.get("/"),
            await client.get(f"/alerts/{house.ids['H-2']}"),
            await client.get("/alerts/none"),
        ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        is_style = answer.headers["content-type"].startswith("text/css")
        assert ("no-store" in answer.headers["cache-control"]) is not is_style
        assert "server" not in answer.headers


async def test_pages_fetch_nothing_from_other_hosts(house):
    async with house.log_in() as client:
        for path in ("/", f"/alerts/{house.ids['H-2']}", "/static/console.css", "/static/grades.css"):
            page = (await client.get(path)).text
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", page)


# --- colours


async def test_every_grade_on_a_page_has_its_colour_from_the_policy(house):
    async with house.log_in("county-1") as client:
        styles = (await client.get("/static/grades.css")).text
        for path in ("/", f"/alerts/{house.ids['H-1']}"):
            page = (await client.get(path)).text
            shown = set(re.findall(r'class="[^"]*grade-([a-z]+) in-([a-z0-9-]+)"', page))
            assert shown
            assert all(f".in-{policy}.grade-{grade} {{" in styles for grade, policy in shown)
            assert "style=" not in page


async def test_a_county_with_three_colours_gets_its_own_words_colours_and_deadlines(engine, passwords, password_hash):
    house = House(engine, SettableClock(NOW), make_settings(policies=EXAMPLES), passwords, password_hash)
    await house.keys.refresh()
    await house.fill()
    away = make_change("orange", household_id="H-9", division=THREE_COLOURS)
    await house.parts.take(away)
    deadlines = {one.household_id: one.visit_by - one.opened_at for one in await house.parts.alerts()}
    assert (deadlines["H-1"], deadlines["H-9"]) == (timedelta(days=3), timedelta(days=2))
    async with house.log_in("duty") as client:
        page, styles = (await client.get("/")).text, (await client.get("/static/grades.css")).text
    assert "grade-orange in-county-three-colours" in page and "红色·优先核实" in page
    assert "grade-orange in-national" in page and "橙色·高风险" in page
    assert ".in-county-three-colours.grade-orange { --grade: #b3261e; --grade-ink: #ffffff; }" in styles


async def test_an_alert_that_was_told_by_text_message_and_answered_without_its_code_can_be_shown(house):
    await house.parts.people(make_person("cadre-1", contacts=[Contact(ChannelName.ALIYUN_SMS, "13800000000")]))
    await house.parts.take(make_change("red", household_id="H-9"))
    (alert,) = await house.parts.alerts(household_id="H-9")
    told = [Told("cadre-1", alert.id, "AAAA", is_waiting=True)]
    assert await SmsReplies(house.engine).conclude("1", ReplyOutcome.CODE_NEEDED, NOW, told)
    async with house.log_in() as client:
        page = await client.get(f"/alerts/{alert.id}")
    assert page.status_code == 200
    assert "张cadre-1 · 短信" in page.text
    assert "短信回复没有写明是哪一条预警" in page.text
