"""Who waits, why, and until when: quiet hours, the daily cap, and what a newer telling takes the place of."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.core.holding import (
    DAY,
    LOOK_AGAIN,
    Held,
    Hold,
    Place,
    Telling,
    Tellings,
    Wanted,
    ended_by,
    hold,
    quiet_until,
)
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW, policy

RED, ORANGE, YELLOW, GREEN = RiskGrade.RED, RiskGrade.ORANGE, RiskGrade.YELLOW, RiskGrade.GREEN
RULES = policy().delivery
CAP = RULES.messages_a_day_per_person_and_household
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WHO = ("H", "cadre")


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def wanted(grade=YELLOW, alert="a", revision=9, worst=None):
    return Wanted(Place(alert, revision), grade, worst or grade)


def had(hours_ago, grade=YELLOW, alert="a", revision=1):
    """Something that the person's channel took so many hours ago."""
    at = NOW - timedelta(hours=hours_ago)
    return Telling(Place(alert, revision), grade, at, at)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-02T20:59:59", None),
        ("2026-03-02T21:00:00", "2026-03-03T07:00"),
        ("2026-03-02T23:59:59", "2026-03-03T07:00"),
        ("2026-03-03T00:00:00", "2026-03-03T07:00"),
        ("2026-03-03T06:59:59", "2026-03-03T07:00"),
        ("2026-03-03T07:00:00", None),
    ],
)
def test_quiet_hours_last_from_nine_in_the_evening_to_seven_in_the_morning(at, until):
    assert quiet_until(RULES, YELLOW, local(at)) == (local(until) if until else None)
    assert quiet_until(RULES, ORANGE, local(at)) == (local(until) if until else None)
    assert quiet_until(RULES, RED, local(at)) is None


def test_quiet_hours_may_lie_within_a_day_or_not_be_at_all():
    noon = RULES.model_copy(update={"quiet_from": "12:00", "quiet_to": "14:00"})
    assert quiet_until(noon, YELLOW, local("2026-03-02T13:59")) == local("2026-03-02T14:00")
    assert quiet_until(noon, YELLOW, local("2026-03-02T22:00")) is None
    none = RULES.model_copy(update={"quiet_to": RULES.quiet_from})
    assert all(quiet_until(none, YELLOW, NOW + hour * HOUR) is None for hour in range(24))


def test_the_ending_of_a_red_alert_does_not_wait_for_the_morning():
    night = local("2026-03-02T23:00")
    assert hold(wanted(GREEN, worst=RED), [], RULES, night) is None
    assert hold(wanted(GREEN, worst=ORANGE), [], RULES, night).held is Held.QUIET_HOURS


@pytest.mark.parametrize(
    ("known", "grade", "goes"),
    [
        ([had(hours) for hours in (1, 2, 3)], YELLOW, True),
        ([had(hours) for hours in (1, 2, 3, 4)], YELLOW, False),
        # what became a day old just now leaves room
        ([had(hours) for hours in (1, 2, 3, 24)], YELLOW, True),
        # the last place is kept for news of red
        ([had(hours) for hours in (1, 2, 3, 4)], RED, True),
        ([had(hours) for hours in (1, 2, 3, 4, 5)], RED, False),
        # that it is red is no news to somebody whose last word it was, unless it is another alert
        ([had(1, RED), *(had(hours) for hours in (2, 3, 4))], RED, False),
        ([had(1, RED, alert="b"), *(had(hours) for hours in (2, 3, 4))], RED, True),
        ([had(1, YELLOW), had(2, RED), had(3), had(4)], RED, True),
        # an ending is no news of red
        ([had(hours) for hours in (1, 2, 3, 4)], GREEN, False),
    ],
)
def test_a_day_has_room_for_so_many_and_the_last_place_is_for_red(known, grade, goes):
    found = hold(wanted(grade), known, RULES, NOW)
    assert (found is None) is goes
    if not goes:
        assert found.held is Held.DAILY_CAP and found.until is None


def test_room_is_looked_for_when_the_oldest_leaves_and_soon_where_nobody_knows():
    full = [had(hours) for hours in (1, 2, 3, 20)]
    assert hold(wanted(), full, RULES, NOW) == Hold(Held.DAILY_CAP, None, NOW + 4 * HOUR)
    fuller = [had(23), *full]
    assert hold(wanted(), fuller, RULES, NOW).look_at == NOW + 4 * HOUR
    on_their_way = [Telling(Place("b", number), YELLOW, NOW) for number in range(4)]
    assert hold(wanted(), on_their_way, RULES, NOW).look_at == NOW + LOOK_AGAIN


def test_what_is_still_to_come_has_its_place_and_what_waits_for_one_has_not():
    coming = [Telling(Place("b", number), YELLOW, NOW) for number in range(3)]
    waiting = Telling(Place("c", 1), YELLOW, NOW, recallable=True, held=True, waits=True)
    assert hold(wanted(), [*coming, waiting], RULES, NOW) is None
    assert hold(wanted(), [*coming, had(1)], RULES, NOW) is not None


def told(tellings, grade, now, alert="a", revision=1):
    one = wanted(grade, alert, revision)
    found = tellings.hold(*WHO, one, RULES, now)
    tellings.note(*WHO, one, found, now)
    return found


def test_red_at_night_goes_at_once_and_takes_the_place_of_what_waits_for_the_morning():
    tellings, night = Tellings(), local("2026-03-02T23:00")
    assert told(tellings, YELLOW, night).held is Held.QUIET_HOURS
    assert told(tellings, RED, night + HOUR, revision=2) is None
    assert tellings.recalled == {(Place("a", 1), "cadre"): RED}
    assert ended_by(YELLOW, RED) == "inhibited" and ended_by(RED, RED) == ended_by(RED, None) == "superseded"


def test_of_several_that_wait_only_the_newest_stays_also_over_two_alerts_of_a_household():
    tellings, night = Tellings(), local("2026-03-02T23:00")
    told(tellings, YELLOW, night)
    told(tellings, ORANGE, night + MINUTE, revision=2)
    told(tellings, YELLOW, night + 2 * MINUTE, alert="b")
    assert tellings.recalled == {(Place("a", 1), "cadre"): ORANGE, (Place("a", 2), "cadre"): YELLOW}


def test_a_telling_without_a_place_does_not_recall_one_that_is_on_its_way():
    on_its_way = Telling(Place("a", 1), RED, NOW, recallable=True)
    tellings = Tellings({WHO: [*(had(hours, alert="b") for hours in (1, 2, 3)), had(4, RED), on_its_way]})
    assert told(tellings, RED, NOW, revision=2) is None, "it takes the place of the one before"
    tried = Telling(Place("a", 1), RED, NOW)
    tellings = Tellings({WHO: [*(had(hours, alert="b") for hours in (1, 2, 3)), tried]})
    assert told(tellings, RED, NOW, revision=2).held is Held.DAILY_CAP
    assert tellings.recalled == {}


def test_what_has_ended_frees_its_place_unless_somebody_may_have_heard_of_it():
    untouched = [Telling(Place("a", number), YELLOW, NOW, recallable=True) for number in range(4)]
    tellings = Tellings({WHO: untouched})
    tellings.end("a", NOW)
    assert told(tellings, YELLOW, NOW, alert="b") is None
    tried = [Telling(Place("a", number), YELLOW, NOW) for number in range(4)]
    tellings = Tellings({WHO: tried})
    tellings.end("a", NOW)
    assert told(tellings, YELLOW, NOW, alert="b").held is Held.DAILY_CAP
    assert told(tellings, YELLOW, NOW + DAY + MINUTE, alert="b", revision=2) is None


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_nobody_gets_more_than_the_cap_in_a_day_and_their_last_word_on_a_red_alert_is_red(seed):
    dice, tellings, now = random.Random(seed), Tellings(), NOW
    heard, alert, grade = [], 0, GREEN
    for revision in range(1_000):
        now += timedelta(seconds=dice.randint(1, 300))
        if dice.random() < 0.1 and grade is not GREEN:
            tellings.end(str(alert), now)
            alert, grade, becomes = alert + 1, GREEN, GREEN
        else:
            grade = becomes = dice.choice((YELLOW, ORANGE, RED))
        one = wanted(becomes, str(alert), revision)
        found = tellings.hold(*WHO, one, RULES, now)
        tellings.note(*WHO, one, found, now)
        if found is None:
            # At once, and by a channel that took it.
            place = tellings._known[WHO]
            place[-1] = Telling(one.place, becomes, now, now)
            heard.append((now, becomes))
        if becomes is RED:
            assert heard[-1][1] is RED
        assert sum(at > now - DAY for at, _ in heard) <= CAP
