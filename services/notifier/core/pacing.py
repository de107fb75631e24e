"""When the next message to a person may leave: nobody's phone is drowned, and a storm is told all the same.

The policy gives a person so many messages in a window of time. Their channels share them, because a mail and a webhook
lie on the same phone. The first messages of a window leave at once, the last three at growing distances: what comes in
between is told together. One message of a window is kept for red: what is milder waits where only that one is left.
A repeat of a message that was not taken is the same message and costs nothing, nor does the test of a channel.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.core.channel_order import told_at_once
from shared.alerts import ChannelName
from shared.policy import MessagesPerPerson

# With three messages a window, what happens within a minute is told at once, after 30 s and after 70 s.
GAPS = (timedelta(seconds=30), timedelta(seconds=40), timedelta(seconds=60))
KEPT_FOR_RED = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """At most so many messages to one person by one channel in any stretch of time of this length."""

    most: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Turn:
    """When a person's next message may begin.

    recent: when messages began, oldest first, as far back as the window looks. free_at: no new one before then.
    milder_free_at: none before then in which nothing is red.
    """

    recent: tuple[datetime, ...]
    free_at: datetime
    milder_free_at: datetime


def pace_of(budget: MessagesPerPerson, channel: ChannelName, in_force: Sequence[ChannelName]) -> Pace:
    """Return a channel's part of a person's budget.

    in_force: the person's channels in their order. A channel that is used in place of another has a part beside those
    that are used at once.
    """
    shared_by = len({*told_at_once(in_force), channel})
    return Pace(max(1, budget.most // shared_by), timedelta(minutes=budget.within_minutes))


def take_turn(recent: Collection[datetime], pace: Pace, now: datetime) -> Turn:
    """Count a message that begins now, and say when the next may."""
    # Replicas' clocks may differ by a little.
    kept = (*sorted(at for at in recent if at > now - pace.window), now)
    without_red = Pace(max(1, pace.most - KEPT_FOR_RED), pace.window)
    return Turn(kept, _free_at(kept, pace, now), _free_at(kept, without_red, now))


def _free_at(recent: Sequence[datetime], pace: Pace, now: datetime) -> datetime:
    """The first instant at which one more message keeps to the pace.

    As time goes by, the window holds fewer messages and asks for a shorter distance: each number that it may come to
    hold is tried.
    """
    last = max(recent)
    possible = []
    for still_counted in range(min(len(recent), pace.most - 1) + 1):
        leaving = len(recent) - still_counted
        counted_at = recent[leaving - 1] + pace.window if leaving else now
        possible.append(max(now, counted_at, last + _gap(still_counted, pace)))
    return min(possible)


def _gap(counted: int, pace: Pace) -> timedelta:
    """How far a message keeps from the one before it when the window holds so many already."""
    at_once = max(1, pace.most - len(GAPS))
    return GAPS[counted - at_once] if counted >= at_once else timedelta()
