"""Small values for tests of the notifier: a change of grade, a person, settings, and its parts joined on a database."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.channels.ports import Channel
from services.notifier.climb import Climb
from services.notifier.core.routing import at_level
from services.notifier.deliver import Deliver, PersonalPart
from services.notifier.digesting import Digesting
from services.notifier.mail_links import MailLinks
from services.notifier.metrics import NotifierMetrics
from services.notifier.raise_alert import RaiseAlert
from services.notifier.settings import NotifierSettings
from services.notifier.siren import Siren
from services.notifier.sms_codes import SmsCodes
from services.notifier.store.alerts import AlertStore
from services.notifier.store.claims import Claims
from services.notifier.store.climbing import Climbing
from services.notifier.store.deliveries import Deliveries
from services.notifier.store.directory import Directory
from services.notifier.store.leases import Leases
from services.notifier.store.reading import AlertReader, Filters
from services.notifier.store.rows import Contact, StaffRow
from services.notifier.store.sms_replies import SmsReplies
from services.notifier.wording import read_wording
from shared.alerts import Alert, ChannelName
from shared.bus.ports import PartitionBatch, Record, TopicPartition
from shared.clock import Clock
from shared.db.positions import Positions
from shared.grade_message import write_grade_change
from shared.grades import GradeChanged, GradeCode, Measure, PolicyRef, Reason, RiskGrade, Trigger
from shared.metrics import ServiceMetrics
from shared.policy import Policies, Policy, PolicyBook, Role, default_policies, load_policies

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
COUNTY, TOWNSHIP, VILLAGE = "990100000000", "990100101000", "990100101201"
OTHER_VILLAGE, OTHER_TOWNSHIP = "990100102201", "990100102000"
PROVINCE = "990000000000"
WORDING = read_wording()
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
PARTITION = TopicPartition("household.grade-changes.v1", 0)
DIVISIONS = {
    PROVINCE: "虚拟省",
    COUNTY: "示范县",
    TOWNSHIP: "一号乡",
    VILLAGE: "某村",
    OTHER_TOWNSHIP: "二号乡",
    OTHER_VILLAGE: "别村",
}


def policy() -> Policy:
    """The policy that comes with the program."""
    return default_policies().on(NOW.date())


def policies_of(**delivery: Any) -> Policies:
    """The national policies with other values in their section `delivery`."""
    changed = [
        one.model_copy(update={"delivery": one.delivery.model_copy(update=delivery)})
        for one in default_policies().versions
    ]
    return Policies([], PolicyBook(changed))


def nobody_waits() -> Policies:
    """Policies without quiet hours and with room for all messages: for tests of what comes after, at any hour."""
    return policies_of(quiet_to="21:00", messages_a_day_per_person_and_household=100)


def make_change(
    new: GradeCode = "red",
    old: GradeCode | None = "green",
    *,
    version: int = 1,
    household_id: str = "H-1024",
    alias: str | None = None,
    division: str = VILLAGE,
    causes: Sequence[str] = ("illness",),
    kind: Literal["event", "timer", "replay"] = "event",
    event_type: str | None = None,
    decided_at: datetime = NOW,
    closed: bool = False,
) -> GradeChanged:
    """A change of grade; only what matters is named."""
    return GradeChanged(
        id=f"{household_id}:{version}",
        household_id=household_id,
        alias=alias,
        division=division,
        version=version,
        old=old,
        new=new,
        on_day=date(2026, 3, 2),
        decided_at=decided_at,
        trigger=Trigger(kind=kind, type=event_type),
        reasons=(Reason(code="RIGID", text_zh="自付60,000元,超过限额", text_en="paid 60,000 yuan itself"),)
        if RiskGrade.from_code(new) > RiskGrade.GREEN
        else (),
        causes=tuple(causes),
        measures=(Measure(code="treat_first", cause="illness", text_zh="先诊疗后付费", text_en="treat first"),),
        policy=PolicyRef(name="national", version="1", hash="0"),
        closed=closed,
    )


def make_person(
    staff_id: str,
    role: Role = "cadre",
    division: str = VILLAGE,
    *,
    email: str | None = "",
    webhook_url: str | None = None,
    password_hash: str | None = None,
    active: bool = True,
    contacts: Sequence[Contact] = (),
) -> StaffRow:
    """A person; an address <staff_id>@staff.example unless another, or None, is given. contacts: beside these two."""
    email = f"{staff_id}@staff.example" if email == "" else email
    mail = [Contact(ChannelName.SMTP, email)] if email else []
    webhook = [Contact(ChannelName.WEBHOOK, webhook_url, SECRET)] if webhook_url else []
    return StaffRow(
        staff_id=staff_id,
        name=f"张{staff_id}",
        role=role,
        division=division,
        password_hash=password_hash,
        active=active,
        contacts=(*mail, *webhook, *contacts),
    )


def make_settings(**values: Any) -> NotifierSettings:
    """Settings that reach nothing but the loopback."""
    defaults: dict[str, Any] = {
        "database_url": SecretStr("postgresql://nobody@127.0.0.1/none"),
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "webhook_allow_private": True,
        "public_url": "http://console.test",
        "poll_seconds": 0.02,
    }
    return NotifierSettings(**(defaults | values))


@dataclass
class Parts:
    """The notifier's parts on one database."""

    engine: AsyncEngine
    clock: Clock
    settings: NotifierSettings = field(default_factory=make_settings)
    group: str = "notifier-test"
    policies: Policies | None = None

    def __post_init__(self) -> None:
        self.policies = self.policies or load_policies(self.settings.policies)
        self.registry = CollectorRegistry()
        self.metrics = NotifierMetrics(ServiceMetrics("notifier", self.registry))
        self.siren = Siren(self.settings.siren_file, self.clock, self.metrics)
        self.claims = Claims(self.engine, Digesting(self.policies, self.settings.public_url, WORDING))
        self.leases = Leases(self.engine)
        self.deliveries = Deliveries(self.engine, self.policies)
        self.directory = Directory(self.engine)
        self.reader = AlertReader(self.engine)
        self.offsets = itertools.count()
        self.woken = 0
        self.handler = self.new_handler("one")

    def wake(self, channels: Collection[ChannelName] = ()) -> None:
        self.woken += 1

    def new_handler(self, owner: str, group: str | None = None) -> RaiseAlert:
        return RaiseAlert(
            AlertStore(self.engine, Positions(self.engine, group or self.group, owner)),
            self.policies,
            self.clock,
            self.metrics,
            public_url=self.settings.public_url,
            wording=WORDING,
            on_deliveries=self.wake,
            siren=self.siren,
        )

    def new_climber(self) -> Climb:
        return Climb(
            Climbing(self.engine),
            self.policies,
            self.clock,
            self.metrics,
            public_url=self.settings.public_url,
            wording=WORDING,
            on_deliveries=self.wake,
            siren=self.siren,
        )

    async def people(self, *people: StaffRow) -> None:
        await self.directory.save_divisions(DIVISIONS)
        if people:
            await self.directory.save_staff(people)

    async def villages(self, count: int) -> list[str]:
        """Enter so many villages into the register; their codes. Each household in its own is another person's."""
        await self.directory.save_divisions(DIVISIONS | {code: f"第{code[-3:]}村" for code in village_codes(count)})
        return village_codes(count)

    async def take(self, *changes: GradeChanged, handler: RaiseAlert | None = None) -> None:
        """Hand a batch of changes to a handler that has just claimed the partition."""
        handler = handler or self.handler
        claim = await handler.claim(PARTITION)
        await handler.handle(PartitionBatch(PARTITION, claim, [self.record(change) for change in changes]))

    def record(self, change: GradeChanged) -> Record:
        return Record(next(self.offsets), change.household_id.encode(), write_grade_change(change), 0)

    async def alerts(self, **filters: Any) -> list[Alert]:
        return await self.reader.page("", Filters(**filters), None, 200)

    async def alert(self) -> Alert:
        """The only alert."""
        (alert,) = await self.alerts()
        return alert

    def lane(self, channel: Channel, worker: str = "worker-1") -> Deliver:
        return Deliver(
            channel,
            self.claims,
            self.leases,
            self.deliveries,
            self.clock,
            self.metrics,
            self.settings,
            worker,
            spread=lambda: 0.0,
            siren=self.siren,
            personal=self.personal(channel.name),
        )

    def personal(self, channel: ChannelName) -> PersonalPart | None:
        """What messages of a channel say to their receiver alone."""
        if channel is ChannelName.SMTP:
            return MailLinks(self.settings, WORDING)
        takes_replies = channel is ChannelName.ALIYUN_SMS and self.settings.sms_reply_secret is not None
        return SmsCodes(SmsReplies(self.engine), WORDING) if takes_replies else None

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"shouwang_notifier_{name}", labels) or 0.0


def village_codes(count: int) -> list[str]:
    """Codes of villages of one township."""
    return [f"{TOWNSHIP[:9]}{number:03d}" for number in range(1, count + 1)]


async def deliver_all(lane: Deliver) -> int:
    """Send what is due now and wait for the outcomes; return how many sends were begun."""
    begun = 0
    while started := await lane.start_due():
        begun += started
        await lane.finish(30)
    return begun


def statuses(alert: Alert) -> dict[tuple[str, ChannelName], str]:
    """Delivery status by person and channel, of the latest revision."""
    return {
        (line.recipient, line.channel): str(line.status) for line in alert.deliveries if line.revision == alert.revision
    }


def at(division: str, digits: int) -> str:
    """An ancestor's code."""
    return at_level(division, digits)
