"""Brings the invented county to life over HTTP, as any department would (`python -m deploy.demo.feed`).

First its 3,000 households enter the register, gently, then a light stream of events goes on until SIGTERM. Enrolling
again is harmless: ids and content are the same each time, so a second run of a directory changes nothing.

Environment: INGEST_URL, API_KEY; SEED (1), RUN_DIR (.local), ENROL_ONLY=1 to end after the enrolment, RATE events a
second, kept up for as long as it runs. Without RATE the stream begins with 2 a second and slows down as it goes: 3,000
households would otherwise live through a year's illnesses in a few hours, and all be red by the evening.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from deploy.demo.county import County, checked_seed, make_county
from deploy.demo.events import EventStream, Manner, enrolment_event
from deploy.demo.progress import EVERY_SECONDS, TROUBLE_EVERY_SECONDS, SeldomSay, counting, say
from deploy.demo.sender import Sender, open_client
from shared.clock import SHANGHAI

BATCH = 250
BATCH_EVERY_SECONDS = 1.0
FIRST_RATE = 2.0
HALVED_AFTER_EVENTS = 600
SHOWN_EVERY_EVENTS = 100


class FeedMisused(ValueError):
    """The environment does not say what the feed needs; the text names each variable."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """rate: events a second that never change, or None for a stream that slows down."""

    ingest_url: str
    api_key: str
    seed: int
    directory: Path
    rate: float | None
    enrol_only: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the variables. Raises FeedMisused."""
        missing = [name for name in ("INGEST_URL", "API_KEY") if not environment.get(name)]
        if missing:
            raise FeedMisused(f"set {' and '.join(missing)}")
        try:
            seed = checked_seed(int(environment.get("SEED") or "1"))
            rate = float(environment["RATE"]) if environment.get("RATE") else None
        except ValueError as error:
            raise FeedMisused(f"SEED must be a whole number from 0 to 999999, RATE a number ({error})") from None
        if rate is not None and not 0 < rate <= 1000:
            raise FeedMisused("RATE must be above 0 and at most 1000")
        directory = Path(environment.get("RUN_DIR") or ".local")
        enrol_only = environment.get("ENROL_ONLY") == "1"
        return cls(environment["INGEST_URL"], environment["API_KEY"], seed, directory, rate, enrol_only)


def rate_after(sent: int) -> float:
    """Events a second of a stream that slows down: half as fast after 600, a fifth after 1,200, some 6,000 in a day."""
    return FIRST_RATE / (1 + (sent / HALVED_AFTER_EVENTS) ** 2)


def opening_day(directory: Path, seed: int, today: date) -> date:
    """The day on which this directory's county entered the register: today, the first time.

    Kept in a file, because households that are enrolled again tomorrow must be the ones of today.
    """
    file = directory / f"county-{seed}.json"
    if file.exists():
        return date.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["opened_on"])
    directory.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(json.dumps({"seed": seed, "opened_on": today.isoformat()}) + "\n", encoding="utf-8")
    fresh.replace(file)
    return today


def enrol(county: County, sender: Sender, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send every household's enrolment, one batch a second, so that the machine stays free for other work."""
    events = [enrolment_event(county, household) for household in county.households]
    began = time.monotonic()
    with counting("enrolling households", len(events)) as show:
        for start in range(0, len(events), BATCH):
            batch_began = time.monotonic()
            sender.send_batch(events[start : start + BATCH])
            show(min(start + BATCH, len(events)))
            sleep(max(0.0, batch_began + BATCH_EVERY_SECONDS - time.monotonic()))
    say(f"{sender.tally.accepted} households sent in {time.monotonic() - began:.1f} s{_refusals(sender)}")


def stream(county: County, sender: Sender, rate: float | None) -> None:
    """Send events for ever. What could not be sent while ingest was away is not made up for in a rush."""
    events = EventStream(county, datetime.now(UTC))
    sender.tally.accepted = sent = malformed = 0
    seldom = SeldomSay(EVERY_SECONDS)
    while True:
        began = time.monotonic()
        streamed = events.next_event(datetime.now(UTC))
        sender.send_one(streamed.event)
        sent += 1
        malformed += streamed.manner is Manner.MALFORMED
        if sent % SHOWN_EVERY_EVENTS == 0:
            seldom(f"{sent} events sent, {malformed} of them malformed on purpose{_refusals(sender)}")
        pause = 1 / (rate or rate_after(sent))
        time.sleep(max(0.0, began + pause - time.monotonic()))


def _refusals(sender: Sender) -> str:
    """How many were refused, by status; nothing when none were."""
    refused = sender.tally.refused
    return "; refused: " + ", ".join(f"{count} with {status}" for status, count in refused.items()) if refused else ""


def main() -> int:
    """Enrol, then stream; the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        settings = FeedSettings.from_environment()
    except FeedMisused as error:
        say(str(error))
        return 2
    opened = opening_day(settings.directory, settings.seed, datetime.now(SHANGHAI).date())
    county = make_county(settings.seed, opened)
    with open_client(settings.ingest_url, settings.api_key) as client:
        sender = Sender(client, SeldomSay(TROUBLE_EVERY_SECONDS))
        enrol(county, sender)
        if not settings.enrol_only:
            stream(county, sender, settings.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
