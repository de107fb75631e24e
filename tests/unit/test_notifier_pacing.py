"""How many messages one person gets: never too many in any window, never later than need be."""

from datetime import timedelta
from random import Random

import pytest

from services.notifier.core.pacing import GAPS, Pace, pace_of, take_turn
from shared.alerts import ChannelName
from shared.policy import MessagesPerPerson
from tests.fakes.notifier import NOW

SMTP, WEBHOOK, ROBOT, DING = ChannelName.SMTP, ChannelName.WEBHOOK, ChannelName.WECOM_ROBOT, ChannelName.DINGTALK
WINDOW = timedelta(minutes=10)
STEP = timedelta(seconds=1)


def turns(most, count, next_at):
    """So many messages, each as soon as `next_at` of the last turn says: (when it began, its turn)."""
    now, recent = NOW, ()
    for _ in range(count):
        turn = take_turn(recent, Pace(most, WINDOW), now)
        yield now, turn
        recent, now = turn.recent, next_at(turn)


def left_at(most, count, next_at):
    """When they began, in seconds from the first."""
    return [(now - NOW).total_seconds() for now, _ in turns(most, count, next_at)]


@pytest.mark.parametrize(
    ("channel", "in_force", "most", "each"),
    [
        (SMTP, [SMTP], 6, 6),
        (SMTP, [SMTP, WEBHOOK], 6, 3),
        (ROBOT, [ROBOT, SMTP, WEBHOOK, DING], 6, 2),
        (SMTP, [], 6, 6),
        (SMTP, [SMTP, WEBHOOK, ROBOT], 2, 1),
    ],
)
def test_the_channels_that_are_used_at_once_share_the_budget(channel, in_force, most, each):
    assert pace_of(MessagesPerPerson(most=most), channel, in_force) == Pace(each, WINDOW)


def test_a_channel_that_stands_in_for_another_has_a_part_beside_the_others():
    assert pace_of(MessagesPerPerson(), DING, [SMTP, WEBHOOK, ROBOT, DING]) == Pace(1, WINDOW)


@pytest.mark.parametrize(
    ("most", "leave_at"),
    [
        (1, [0, 600, 1200]),
        (2, [0, 30, 600, 630]),
        (3, [0, 30, 70, 600, 640, 680]),
        (4, [0, 30, 70, 130, 600, 660]),
        (6, [0, 0, 0, 30, 70, 130, 600, 630]),
        (300, [0] * 297 + [30, 70, 130, 600]),
    ],
)
def test_with_always_something_to_tell_the_first_leave_at_once_and_the_last_three_at_growing_distances(most, leave_at):
    """Three messages a window: a storm of 60 s is told at once, after 30 s and after 70 s."""
    assert left_at(most, len(leave_at), lambda turn: turn.free_at) == leave_at


@pytest.mark.parametrize(("most", "leave_at"), [(1, [0, 600]), (2, [0, 600, 1200]), (3, [0, 30, 600, 630])])
def test_of_what_is_milder_than_red_one_message_less_leaves_in_a_window(most, leave_at):
    assert left_at(most, len(leave_at), lambda turn: turn.milder_free_at) == leave_at


@pytest.mark.parametrize("most", [2, 3, 4, 6])
def test_after_whatever_was_milder_red_can_leave_within_a_minute(most):
    for now, turn in turns(most, 50, lambda turn: turn.milder_free_at):
        assert turn.free_at - now <= timedelta(minutes=1)


@pytest.mark.parametrize("seed", range(30))
def test_no_window_ever_holds_more_than_the_budget_and_nobody_waits_without_need(seed):
    """Looked at second by second: at each instant before `free_at` one rule or the other would be broken."""
    random = Random(seed)
    pace = Pace(random.randint(1, 8), timedelta(seconds=random.choice((60, 200, 600))))
    at_once = max(1, pace.most - 3)

    def may_leave(sent, now):
        held = [at for at in sent if at > now - pace.window]
        if len(held) >= pace.most:
            return False
        return len(held) < at_once or now - sent[-1] >= GAPS[len(held) - at_once]

    now, recent, sent = NOW, (), []
    for _ in range(40):
        turn = take_turn(recent, pace, now)
        sent.append(now)
        recent = turn.recent
        assert len(recent) <= pace.most
        assert may_leave(sent, turn.free_at)
        while now < turn.free_at:
            assert not may_leave(sent, now)
            now += STEP
        now += STEP * random.choice((0, 0, 1, 20, 45, 400))
    for end in sent:
        assert sum(end - pace.window < at <= end for at in sent) <= pace.most


def test_a_replica_whose_clock_is_a_little_behind_counts_all_the_same():
    turn = take_turn((NOW + timedelta(milliseconds=30),), Pace(2, WINDOW), NOW)
    assert len(turn.recent) == 2
    assert turn.free_at >= NOW + WINDOW
