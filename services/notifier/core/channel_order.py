"""Which of a person's channels are used at once, and which only when another has not served.

Mail and webhook are always used. Of chat and text messages one is enough: the first in the person's order.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from shared.alerts import ChannelName
from shared.grades import RiskGrade

ONE_IS_ENOUGH = (
    ChannelName.WECOM_APP,
    ChannelName.WECOM_ROBOT,
    ChannelName.DINGTALK,
    ChannelName.FEISHU,
    ChannelName.ALIYUN_SMS,
)
"""Of these only one is used at first; they stand in the order of a person who has named none."""
URGENT_FROM = RiskGrade.ORANGE
ATTEMPTS_BEFORE_NEXT = 3
PATIENCE = timedelta(seconds=60)


def told_at_once(channels: Sequence[ChannelName]) -> tuple[ChannelName, ...]:
    """Choose among a person's channels in force, given in the person's order."""
    always = [channel for channel in channels if channel not in ONE_IS_ENOUGH]
    return (*always, *[channel for channel in channels if channel in ONE_IS_ENOUGH][:1])


def next_channel(
    after: ChannelName, order: Sequence[ChannelName], in_force: Collection[ChannelName]
) -> ChannelName | None:
    """Return what comes after a channel that did not serve; None where nothing does.

    order: all of the person's channels in their order, those out of force too. A channel that has left the list stood
    before all others.
    """
    behind = order[order.index(after) + 1 :] if after in order else order
    return next((channel for channel in behind if channel in ONE_IS_ENOUGH and channel in in_force), None)


def is_overdue(grade: RiskGrade, *, attempts: int, due_since: datetime, now: datetime) -> bool:
    """Tell whether a delivery still under way has had its chance, so that the next channel is used besides.

    due_since: from when it could be sent. Waiting for the person's turn speaks against no channel.
    """
    if grade < URGENT_FROM:
        return False
    return attempts >= ATTEMPTS_BEFORE_NEXT or now - due_since >= PATIENCE
