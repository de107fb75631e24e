"""A storm: so many households turn red within a minute that their people would drown in single messages.

The notifier's own parts tell it over real SMTP and HTTP to receivers that keep a journal, by a clock that is moved by
hand. `Storm` serves tests at a moderate size and benchmarks at a large one.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.channels.ports import Channel
from services.notifier.channels.robots import WecomRobot
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.deliver import Deliver
from services.notifier.store.rows import Contact, StaffRow
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.grades import GradeChanged
from tests.fakes.notifier import COUNTY, Parts, deliver_all, make_change, make_person, make_settings
from tests.fakes.smtp_receiver import SmtpReceiver, smtp_receiver
from tests.fakes.vendors import TOKEN, Vendors, vendor_settings, vendors
from tests.fakes.webhook_receiver import WebhookReceiver, webhook_receiver
from tests.told import Message, read_mail, read_webhook

ROBOT = Contact(ChannelName.WECOM_ROBOT, TOKEN)
TICK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Scale:
    """How big a storm is. people: a tenth of them in the county, a fifth in townships, one cadre for each village.

    milder: alerts below red that come with them. waves: batches in which all arrive, spread evenly over `lasts`.
    """

    reds: int
    milder: int
    people: int
    waves: int
    lasts: timedelta = timedelta(seconds=60)

    @property
    def county(self) -> int:
        """People of the county."""
        return max(1, self.people // 10)

    @property
    def townships(self) -> int:
        """Townships, each with one person."""
        return max(1, self.people // 5)

    @property
    def villages(self) -> list[str]:
        """Codes of the villages, each with one cadre."""
        count = self.people - self.county - self.townships
        return [f"{township_code(number % self.townships)[:9]}{201 + number:03d}" for number in range(count)]


MODERATE = Scale(reds=1_000, milder=90, people=10, waves=10)
LARGE = Scale(reds=10_000, milder=0, people=50, waves=60)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as one person's device has it. content: its very bytes, as far as they must be the same in a repeat."""

    at: datetime
    staff_id: str
    channel: ChannelName
    message_id: str
    said: Message
    content: bytes


def township_code(number: int) -> str:
    """Code of a township of the county."""
    return f"{COUNTY[:6]}{101 + number:03d}000"


@dataclass(slots=True)
class Storm:
    """One storm under way.

    received: everything that came to mailboxes and webhooks, in order; chat groups tell nobody's name.
    """

    scale: Scale
    parts: Parts
    clock: SettableClock
    relay: SmtpReceiver
    hook: WebhookReceiver
    vendor: Vendors
    channels: Sequence[Channel]
    received: list[Received] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=lambda: {"smtp": 0, "webhook": 0})

    async def prepare(self) -> None:
        """Enter divisions and people."""
        scale = self.scale
        names = {COUNTY: "示范县"}
        names |= {township_code(number): f"第{number + 1}乡" for number in range(scale.townships)}
        names |= {code: f"村{number + 1}" for number, code in enumerate(scale.villages)}
        await self.parts.directory.save_divisions(names)
        await self.parts.directory.save_staff(list(self._people()))

    def changes(self) -> list[list[GradeChanged]]:
        """The changes of grade, wave by wave; in each village two causes, so that there are bursts of both."""
        scale, villages = self.scale, self.scale.villages
        every = [
            make_change(
                "red" if number < scale.reds else ("orange", "yellow")[number % 2],
                household_id=f"S-{number:05d}",
                division=villages[number % len(villages)],
                causes=("disaster",) if number // len(villages) % 2 else ("illness",),
            )
            for number in range(scale.reds + scale.milder)
        ]
        # Milder ones are spread among the red ones.
        return [every[wave :: scale.waves] for wave in range(scale.waves)]

    def lanes(self, worker: str = "worker-1") -> list[Deliver]:
        """One lane for each channel, as a process has them."""
        return [self.parts.lane(channel, worker) for channel in self.channels]

    async def break_loose(self, lanes: Sequence[Deliver]) -> None:
        """Let the waves come, and send what may be sent after each."""
        waves = self.changes()
        for wave in waves:
            await self.parts.take(*wave)
            await self.send(lanes)
            self.clock.move(self.scale.lasts / len(waves))

    async def send(self, lanes: Sequence[Deliver]) -> int:
        """Send all that may be sent now; return how many messages were begun."""
        begun = sum(await asyncio.gather(*(deliver_all(lane) for lane in lanes)))
        self.collect()
        return begun

    async def pass_time(self, lanes: Sequence[Deliver], span: timedelta, tick: timedelta = TICK) -> None:
        """Let time go by tick by tick, sending whatever comes due."""
        until = self.clock.now() + span
        while self.clock.now() < until:
            self.clock.move(tick)
            await self.send(lanes)

    def collect(self) -> None:
        """Take down what came since the last time; the clock has stood still meanwhile."""
        now = self.clock.now()
        for mail in self.relay.mails[self._seen["smtp"] :]:
            text = str(mail.get_content())
            staff_id, message_id = (
                str(mail["To"]).partition("@")[0],
                str(mail["Message-ID"]).strip("<>").partition("@")[0],
            )
            content = f"{mail['Subject']}\n{text}".encode()
            self.received.append(Received(now, staff_id, ChannelName.SMTP, message_id, read_mail(text), content))
        for request in self.hook.journal[self._seen["webhook"] :]:
            staff_id, said = request.path.rpartition("/")[2], read_webhook(request.body)
            message_id = request.headers["webhook-id"]
            self.received.append(Received(now, staff_id, ChannelName.WEBHOOK, message_id, said, request.body))
        self._seen = {"smtp": len(self.relay.mails), "webhook": len(self.hook.journal)}

    def messages_of(self) -> Mapping[str, list[datetime]]:
        """When each person first got each of their messages, over all channels that tell a name."""
        first: dict[tuple[str, str], datetime] = {}
        for one in self.received:
            first.setdefault((one.staff_id, one.message_id), one.at)
        found: dict[str, list[datetime]] = defaultdict(list)
        for (staff_id, _), at in first.items():
            found[staff_id].append(at)
        return found

    def _people(self) -> Iterator[StaffRow]:
        """The county by mail and webhook, townships by these and a chat group, cadres by one way each in turn."""
        for number in range(self.scale.county):
            yield make_person(f"county-{number}", "county", COUNTY, webhook_url=self._hook(f"county-{number}"))
        for number in range(self.scale.townships):
            staff_id, code = f"town-{number}", township_code(number)
            yield make_person(staff_id, "township", code, webhook_url=self._hook(staff_id), contacts=(ROBOT,))
        for number, code in enumerate(self.scale.villages):
            staff_id = f"cadre-{number}"
            match number % 3:
                case 0:
                    yield make_person(staff_id, division=code)
                case 1:
                    yield make_person(staff_id, division=code, email=None, webhook_url=self._hook(staff_id))
                case _:
                    yield make_person(staff_id, division=code, email=None, contacts=(ROBOT,))

    def _hook(self, staff_id: str) -> str:
        return f"{self.hook.url}/{staff_id}"


@asynccontextmanager
async def storm(engine: AsyncEngine, scale: Scale, now: datetime) -> AsyncIterator[Storm]:
    """Make ready for a storm on a migrated, empty database."""
    clock = SettableClock(now)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(smtp_receiver())
        hook = await stack.enter_async_context(webhook_receiver())
        vendor = await stack.enter_async_context(vendors(lambda: clock.now().timestamp()))
        settings = make_settings(smtp_port=relay.port, lease_seconds=30.0, **vendor_settings(vendor.port))
        channels: list[Channel] = [kind(settings, clock) for kind in (SmtpChannel, WebhookChannel, WecomRobot)]
        for channel in channels:
            stack.push_async_callback(channel.close)
        made = Storm(scale, Parts(engine, clock, settings), clock, relay, hook, vendor, channels)
        await made.prepare()
        yield made
