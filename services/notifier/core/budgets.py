"""How many messages a vendor lets one receiver have, so that it never has to refuse: DingTalk silences for 10 minutes.

A vendor counts the messages of its own last minute. What is begun now may arrive a little later, so that each limit
stays about a tenth below the vendor's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import ChannelName


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many messages in any stretch of time of this length."""

    most: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Grant:
    """granted: how many may be sent now. recent: what to remember. free_at: nothing more before then."""

    granted: int
    recent: tuple[datetime, ...]
    free_at: datetime


LIMITS: Mapping[ChannelName, Sequence[Limit]] = {
    # The vendor's own: 20 a minute and robot.
    ChannelName.WECOM_ROBOT: (Limit(18, timedelta(minutes=1)),),
    # 30 a minute and 1,000 an hour for each person.
    ChannelName.WECOM_APP: (Limit(27, timedelta(minutes=1)),),
    # 20 a minute and robot; beyond, nothing for 10 minutes.
    ChannelName.DINGTALK: (Limit(18, timedelta(minutes=1)),),
    # 100 a minute and 5 a second and robot.
    ChannelName.FEISHU: (Limit(4, timedelta(seconds=1)), Limit(90, timedelta(minutes=1))),
    # 50 a day of one template to one number.
    ChannelName.ALIYUN_SMS: (Limit(45, timedelta(days=1)),),
}
"""Channels that are not here have no limit."""


def grant(recent: Sequence[datetime], limits: Sequence[Limit], wanted: int, now: datetime) -> Grant:
    """Grant as many sends as every limit leaves room for.

    recent: when messages were granted before, oldest first, as `Grant.recent` said.
    """
    horizon = now - max(limit.window for limit in limits)
    kept = [at for at in recent if at > horizon]
    room = min(limit.most - _within(kept, limit, now) for limit in limits)
    granted = max(0, min(wanted, room))
    kept += [now] * granted
    full = [limit for limit in limits if _within(kept, limit, now) >= limit.most]
    free_at = max((kept[-limit.most] + limit.window for limit in full), default=now)
    return Grant(granted, tuple(kept), free_at)


def _within(recent: Sequence[datetime], limit: Limit, now: datetime) -> int:
    return sum(at > now - limit.window for at in recent)
