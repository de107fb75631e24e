"""All that the notifier keeps in its database, joined on one pool of connections."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.store.acting import Acts
from services.notifier.store.climbing import Climbing
from services.notifier.store.deliveries import Deliveries
from services.notifier.store.directory import Directory, Sessions
from services.notifier.store.fallbacks import Fallbacks
from services.notifier.store.leases import Leases
from services.notifier.store.lists import Lists
from services.notifier.store.reading import AlertReader
from services.notifier.store.reconciling import Reconciling
from services.notifier.store.releasing import Releasing
from services.notifier.store.rosters import Rosters
from services.notifier.store.silences import Silences
from services.notifier.store.sms_replies import SmsReplies
from services.notifier.store.why import WhyReader
from shared.db.clock import DatabaseClock
from shared.policy import Policies


@dataclass(frozen=True, slots=True)
class Stores:
    """The parts of the store that need no partition. clock: the database's; who uses it asks it first."""

    directory: Directory
    sessions: Sessions
    reader: AlertReader
    acts: Acts
    deliveries: Deliveries
    leases: Leases
    fallbacks: Fallbacks
    rosters: Rosters
    why: WhyReader
    replies: SmsReplies
    silences: Silences
    climbing: Climbing
    lists: Lists
    releasing: Releasing
    reconciling: Reconciling
    clock: DatabaseClock

    @classmethod
    def on(cls, engine: AsyncEngine, policies: Policies | None = None) -> Self:
        """Join the parts. policies: None: those that come with the program."""
        return cls(
            Directory(engine),
            Sessions(engine),
            AlertReader(engine),
            Acts(engine),
            Deliveries(engine, policies),
            Leases(engine),
            Fallbacks(engine),
            Rosters(engine),
            WhyReader(engine),
            SmsReplies(engine),
            Silences(engine),
            Climbing(engine),
            Lists(engine),
            Releasing(engine),
            Reconciling(engine),
            DatabaseClock(engine),
        )
