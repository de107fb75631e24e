"""Why one person was told of one revision, or was not: step by step, each with a code of one closed list."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.notifier.core.holding import INHIBITED, SUPERSEDED, Held
from services.notifier.core.routing import Heard
from shared.alerts import ChannelName, DeliveryStatus


class Stage(StrEnum):
    """A question that is asked on the way from an alert to a person, in this order."""

    MATCH = "match"
    DUTY = "duty"
    CHANNEL = "channel"
    SILENCE = "silence"
    CAP = "cap"
    QUIET_HOURS = "quiet_hours"
    DEDUP = "dedup"
    PACE = "pace"
    RECEIPT = "receipt"


class Wait(StrEnum):
    """Why a message that may be told is not sent yet, by one channel."""

    MESSAGE_BUDGET = "message_budget"
    RECEIVER_LIMIT = "receiver_limit"
    IN_DIGEST = "in_digest"


class Outcome(StrEnum):
    """How a stage ended: the telling went on, went on later, or ended there."""

    PASSED = "passed"
    WAITED = "waited"
    STOPPED = "stopped"


class Code(StrEnum):
    """Why a stage ended as it did. Those of MATCH and DUTY are verdicts of routing."""

    TOLD_ROLE = "told_role"
    TOLD_STAND_IN = "told_stand_in"
    TOLD_TOWNSHIP_FOR_MISSING_CADRE = "told_township_for_missing_cadre"
    TOLD_COUNTY_FOR_MISSING_CADRE = "told_county_for_missing_cadre"
    TOLD_DUTY_OFFICER = "told_duty_officer"
    TOLD_OWNER = "told_owner"
    TOLD_BEFORE = "told_before"
    ROLE_MATCHES = "role_matches"
    NOT_ROUTED_FOR_GRADE = "not_routed_for_grade"
    OTHER_DIVISION = "other_division"
    INACTIVE = "inactive"
    AT_POST = "at_post"
    ABSENT = "absent"
    OFF_DUTY = "off_duty"
    HAS_CHANNEL = "has_channel"
    NO_CHANNEL = "no_channel"
    NOT_SILENCED = "not_silenced"
    SILENCED = "silenced"
    DAY_HAS_ROOM = "day_has_room"
    DAILY_CAP = "daily_cap"
    NOT_IN_QUIET_HOURS = "not_in_quiet_hours"
    QUIET_HOURS = "quiet_hours"
    NEWEST = "newest"
    SUPERSEDED = "superseded"
    INHIBITED = "inhibited"
    BUDGET_HAS_ROOM = "budget_has_room"
    MESSAGE_BUDGET = "message_budget"
    RECEIVER_LIMIT = "receiver_limit"
    IN_DIGEST = "in_digest"
    TAKEN = "taken"
    NOT_TRIED_YET = "not_tried_yet"
    TRIED_AGAIN = "tried_again"
    REFUSED_FOR_GOOD = "refused_for_good"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one delivery of the telling; see the table.

    waits, waits_until: why it is not sent yet, and until when. in_digest: it goes, or went, together with others.
    """

    channel: ChannelName
    status: DeliveryStatus
    attempts: int
    detail: str | None
    held: Held | None
    held_until: datetime | None
    waits: Wait | None = None
    waits_until: datetime | None = None
    in_digest: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One stage. channel: of pace and receipt, by which. until: how long it waited; None: not known yet."""

    stage: Stage
    outcome: Outcome
    code: Code
    channel: ChannelName | None = None
    until: datetime | None = None


_ENDS: Mapping[Heard, Stage] = {
    Heard.NOT_ROUTED_FOR_GRADE: Stage.MATCH,
    Heard.OTHER_DIVISION: Stage.MATCH,
    Heard.INACTIVE: Stage.MATCH,
    Heard.ABSENT: Stage.DUTY,
    Heard.OFF_DUTY: Stage.DUTY,
    Heard.NO_CHANNEL: Stage.CHANNEL,
    Heard.SILENCED: Stage.SILENCE,
}
"""At which stage a verdict of routing ends the way; who is told goes on."""
_PASSED: Mapping[Stage, Code] = {
    Stage.MATCH: Code.ROLE_MATCHES,
    Stage.DUTY: Code.AT_POST,
    Stage.CHANNEL: Code.HAS_CHANNEL,
    Stage.SILENCE: Code.NOT_SILENCED,
    Stage.CAP: Code.DAY_HAS_ROOM,
    Stage.QUIET_HOURS: Code.NOT_IN_QUIET_HOURS,
    Stage.DEDUP: Code.NEWEST,
}
_HELD: Mapping[Held, tuple[Stage, Code]] = {
    Held.DAILY_CAP: (Stage.CAP, Code.DAILY_CAP),
    Held.QUIET_HOURS: (Stage.QUIET_HOURS, Code.QUIET_HOURS),
}
_GIVEN_UP: Mapping[str, Code] = {
    SUPERSEDED: Code.SUPERSEDED,
    INHIBITED: Code.INHIBITED,
    "acknowledged": Code.ACKNOWLEDGED,
    "resolved": Code.RESOLVED,
}


def steps(heard: Heard, lines: tuple[Line, ...]) -> tuple[Step, ...]:
    """Return the way of one revision to one person. lines: its deliveries, none for whoever was not told."""
    return tuple(_steps(heard, lines))


def _steps(heard: Heard, lines: tuple[Line, ...]) -> Iterator[Step]:
    last = _ENDS.get(heard)
    for stage in (Stage.MATCH, Stage.DUTY, Stage.CHANNEL, Stage.SILENCE):
        if stage is last:
            yield Step(stage, Outcome.STOPPED, Code(heard.value))
            return
        is_told = last is None and stage is Stage.MATCH
        yield Step(stage, Outcome.PASSED, Code(heard.value) if is_told else _PASSED[stage])
    for stage in (Stage.CAP, Stage.QUIET_HOURS):
        yield _wait(stage, lines)
    yield from _endings(lines)


def _wait(stage: Stage, lines: tuple[Line, ...]) -> Step:
    for line in lines:
        if line.held is not None and _HELD[line.held][0] is stage:
            return Step(stage, Outcome.WAITED, _HELD[line.held][1], until=line.held_until)
    return Step(stage, Outcome.PASSED, _PASSED[stage])


def _endings(lines: tuple[Line, ...]) -> Iterator[Step]:
    ends = [(line, _ending(line)) for line in lines]
    replaced = [code for _, code in ends if code in (Code.SUPERSEDED, Code.INHIBITED)]
    if replaced and len(replaced) == len(ends):
        yield Step(Stage.DEDUP, Outcome.STOPPED, replaced[0])
        return
    yield Step(Stage.DEDUP, Outcome.PASSED, Code.NEWEST)
    yield from (_pace(line) for line in lines)
    for line, code in ends:
        went = {Code.TAKEN: Outcome.PASSED, Code.NOT_TRIED_YET: Outcome.WAITED, Code.TRIED_AGAIN: Outcome.WAITED}
        yield Step(Stage.RECEIPT, went.get(code, Outcome.STOPPED), code, line.channel)


def _pace(line: Line) -> Step:
    if line.waits is not None:
        return Step(Stage.PACE, Outcome.WAITED, Code(line.waits.value), line.channel, line.waits_until)
    code = Code.IN_DIGEST if line.in_digest else Code.BUDGET_HAS_ROOM
    return Step(Stage.PACE, Outcome.PASSED, code, line.channel)


def _ending(line: Line) -> Code:
    match line.status:
        case DeliveryStatus.SENT:
            return Code.TAKEN
        case DeliveryStatus.FAILED:
            return Code.REFUSED_FOR_GOOD
        case DeliveryStatus.PENDING:
            return Code.TRIED_AGAIN if line.attempts else Code.NOT_TRIED_YET
        case DeliveryStatus.SUPPRESSED:
            return _GIVEN_UP.get(line.detail or "", Code.NOT_NEEDED)
