"""Every way that a telling can go has its code at every stage, from one closed list."""

from dataclasses import replace
from itertools import product

import pytest

from services.notifier.console.words import ConsoleWords
from services.notifier.core.holding import Held
from services.notifier.core.reasons import Code, Line, Outcome, Stage, Wait, steps
from services.notifier.core.routing import TOLD, Heard
from services.notifier.wording import read_wording
from shared.alerts import ChannelName, DeliveryStatus
from tests.fakes.notifier import NOW

PENDING, SENT = DeliveryStatus.PENDING, DeliveryStatus.SENT
FAILED, SUPPRESSED = DeliveryStatus.FAILED, DeliveryStatus.SUPPRESSED
DETAILS = {
    SENT: ("sent",),
    FAILED: ("http_410", "smtp_550"),
    PENDING: (None, "http_500"),
    SUPPRESSED: ("superseded", "inhibited", "acknowledged", "resolved", "what a later release calls it"),
}


def line(status=SENT, attempts=1, detail=None, held=None, until=None, channel=ChannelName.SMTP):
    return Line(channel, status, attempts, detail, held, until)


def codes(heard, *lines):
    return [(str(one.stage), str(one.outcome), str(one.code)) for one in steps(heard, lines)]


def all_lines():
    for status, attempts, held, until in product(DeliveryStatus, (0, 2), (None, *Held), (None, NOW)):
        for detail, waits, in_digest in product(DETAILS[status], (None, *Wait), (False, True)):
            one = line(status, attempts, detail, held, until)
            yield replace(one, waits=waits, waits_until=until, in_digest=in_digest)


def test_every_verdict_and_every_fate_of_a_delivery_leads_through_the_stages_in_order_to_a_code():
    order, met = list(Stage), set()
    for heard, one in product(Heard, all_lines()):
        found = steps(heard, (one,))
        stages = [order.index(step.stage) for step in found]
        assert stages == sorted(stages) and stages[0] == 0
        assert all(isinstance(step.code, Code) for step in found)
        # Only the last one ends the way.
        assert all(step.outcome is not Outcome.STOPPED for step in found[:-1])
        met |= {step.code for step in found}
    # A code that nothing leads to would be a promise that nobody keeps.
    assert met == set(Code)


def test_each_verdict_of_routing_is_a_code_and_ends_the_way_exactly_if_nobody_was_told():
    for heard in Heard:
        found = steps(heard, (line(),))
        assert Code(heard.value) in [step.code for step in found]
        assert (found[-1].outcome is Outcome.STOPPED) is (heard not in TOLD.values())


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (Heard.OTHER_DIVISION, [("match", "stopped", "other_division")]),
        (Heard.ABSENT, [("match", "passed", "role_matches"), ("duty", "stopped", "absent")]),
        (
            Heard.NO_CHANNEL,
            [("match", "passed", "role_matches"), ("duty", "passed", "at_post"), ("channel", "stopped", "no_channel")],
        ),
        (
            Heard.SILENCED,
            [
                ("match", "passed", "role_matches"),
                ("duty", "passed", "at_post"),
                ("channel", "passed", "has_channel"),
                ("silence", "stopped", "silenced"),
            ],
        ),
    ],
)
def test_who_is_not_told_learns_at_which_stage_it_ended(heard, expected):
    assert codes(heard) == expected


def test_who_waited_for_the_morning_and_was_told_sees_both():
    held = line(held=Held.QUIET_HOURS, until=NOW)
    assert codes(Heard.TOLD_ROLE, held)[4:] == [
        ("cap", "passed", "day_has_room"),
        ("quiet_hours", "waited", "quiet_hours"),
        ("dedup", "passed", "newest"),
        ("pace", "passed", "budget_has_room"),
        ("receipt", "passed", "taken"),
    ]
    assert steps(Heard.TOLD_ROLE, (held,))[5].until == NOW


@pytest.mark.parametrize("wait", Wait)
def test_what_is_not_sent_yet_says_why_and_until_when_for_each_channel(wait):
    waits = replace(line(PENDING, 0), waits=wait, waits_until=NOW, in_digest=wait is Wait.IN_DIGEST)
    lines = (waits, line(channel=ChannelName.WEBHOOK))
    found = [one for one in steps(Heard.TOLD_ROLE, lines) if one.stage is Stage.PACE]
    assert [(one.channel, str(one.outcome), str(one.code), one.until) for one in found] == [
        (ChannelName.SMTP, "waited", wait.value, NOW),
        (ChannelName.WEBHOOK, "passed", "budget_has_room", None),
    ]


def test_each_way_to_wait_has_its_words_on_the_console():
    assert set(ConsoleWords(read_wording()).held) == {*Held, *Wait}


def test_a_telling_that_a_worse_one_took_the_place_of_was_inhibited():
    lines = (line(SUPPRESSED, 0, "inhibited"), line(SUPPRESSED, 0, "inhibited", channel=ChannelName.WEBHOOK))
    assert codes(Heard.TOLD_ROLE, *lines)[-1] == ("dedup", "stopped", "inhibited")


def test_each_channel_has_its_own_receipt():
    lines = (line(), line(FAILED, 3, "http_410", channel=ChannelName.WEBHOOK))
    found = [(one.channel, one.code) for one in steps(Heard.TOLD_ROLE, lines) if one.stage is Stage.RECEIPT]
    assert found == [(ChannelName.SMTP, Code.TAKEN), (ChannelName.WEBHOOK, Code.REFUSED_FOR_GOOD)]
