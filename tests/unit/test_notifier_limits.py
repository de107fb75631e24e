"""Which channel is used when, and how many messages a vendor's receiver may have."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from services.notifier.core.budgets import LIMITS, Limit, grant
from services.notifier.core.channel_order import ONE_IS_ENOUGH, is_overdue, next_channel, told_at_once
from shared.alerts import ChannelName
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW

SMTP, WEBHOOK, ROBOT, DING, SMS = (
    ChannelName.SMTP,
    ChannelName.WEBHOOK,
    ChannelName.WECOM_ROBOT,
    ChannelName.DINGTALK,
    ChannelName.ALIYUN_SMS,
)


def test_mail_and_webhook_are_always_used_and_of_the_others_the_first():
    assert told_at_once([SMS, SMTP, ROBOT, WEBHOOK]) == (SMTP, WEBHOOK, SMS)
    assert told_at_once([SMTP]) == (SMTP,)
    assert told_at_once([]) == ()


@pytest.mark.parametrize(
    ("after", "in_force", "then"),
    [
        (ROBOT, {SMTP, ROBOT, DING, SMS}, DING),
        (ROBOT, {ROBOT, SMS}, SMS),
        (DING, {ROBOT, DING, SMS}, SMS),
        (SMS, {ROBOT, DING, SMS}, None),
        (ChannelName.FEISHU, {ROBOT, SMS}, ROBOT),
        (SMTP, {SMTP, ROBOT}, ROBOT),
    ],
)
def test_the_next_channel_is_the_next_in_the_persons_order_that_is_in_force(after, in_force, then):
    assert next_channel(after, [SMTP, ROBOT, DING, SMS], in_force) == then


@pytest.mark.parametrize(
    ("grade", "attempts", "seconds", "overdue"),
    [
        (RiskGrade.RED, 3, 0, True),
        (RiskGrade.RED, 2, 59, False),
        (RiskGrade.ORANGE, 0, 60, True),
        (RiskGrade.YELLOW, 9, 9_999, False),
    ],
)
def test_only_urgent_messages_are_impatient(grade, attempts, seconds, overdue):
    now = NOW + timedelta(seconds=seconds)
    assert is_overdue(grade, attempts=attempts, due_since=NOW, now=now) is overdue


def test_every_channel_with_a_vendor_behind_it_has_a_limit():
    assert set(LIMITS) == set(ONE_IS_ENOUGH)


@pytest.mark.parametrize("seed", range(20))
def test_no_stretch_of_time_ever_holds_more_than_the_limit_and_nobody_waits_without_need(seed):
    random, limits = Random(seed), (Limit(3, timedelta(seconds=1)), Limit(10, timedelta(seconds=20)))
    now, recent, sent, free_at = NOW, (), [], NOW
    for _ in range(300):
        now += timedelta(seconds=random.choice((0, 0.1, 0.4, 1, 7)))
        made = grant(recent, limits, wanted := random.randint(1, 5), now)
        room = min(one.most - sum(at > now - one.window for at in sent) for one in limits)
        assert made.granted == min(wanted, room)
        if now < free_at:
            assert made.granted == 0
        recent, free_at = made.recent, made.free_at
        sent += [now] * made.granted
        assert len(recent) <= 10
    for limit in limits:
        gaps = [sent[at + limit.most] - sent[at] for at in range(len(sent) - limit.most)]
        assert min(gaps) >= limit.window
    assert all(before <= after for before, after in pairwise(sent))
