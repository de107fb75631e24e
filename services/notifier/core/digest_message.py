"""Several alerts in one message, in final words: Chinese first, then English.

As thin as a single message: household, village, grade, what to do by when, and a link for each. A mail and a webhook
name every alert. Chat groups and text messages are too short for that: they say how many there are and where, and link
to the page that lists them. Bursts are named by village and number, never by their cause.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.notifier.core.digests import Group, NamedAlert, Section
from services.notifier.core.message import Message, grade_title, local_time, plain
from shared.alerts import AlertStatus, ChannelName, DigestAlert, DigestBody, DigestBurst, SendReason

_AGAIN: Mapping[SendReason, tuple[str, str]] = {
    SendReason.GRADE_WORSE: ("（加重）", " (worse)"),
    SendReason.NEW_FIRST_CAUSE: ("（新主因）", " (new first cause)"),
}
_CALLS: Mapping[SendReason, tuple[str, str]] = {
    SendReason.OVERDUE: ("超时未签收，请立即处理", "not acknowledged in time, please act now"),
    SendReason.OVERDUE_VISIT: (
        "超期未入户，请立即签收并入户",
        "the visit is overdue, please acknowledge and visit now",
    ),
    SendReason.REMINDER: ("定期任务到期", "a recurring task is due"),
    SendReason.WITHDRAWN: ("已撤销，无需再处理", "withdrawn, nothing needs to be done"),
    SendReason.HOUSEHOLD_CLOSED: ("已销户，无需再处理", "closed in the register, nothing needs to be done"),
}
_LATE = (SendReason.OVERDUE, SendReason.OVERDUE_VISIT)
VILLAGES_IN_SUBJECT, VILLAGES_IN_BRIEF = 1, 5
LONGEST_VILLAGE = 40


@dataclass(frozen=True, slots=True)
class Digest:
    """What one person is told at once by one channel."""

    digest_id: str
    sections: tuple[Section, ...]
    public_url: str

    @property
    def link(self) -> str:
        """The page that lists exactly these alerts."""
        return f"{self.public_url.rstrip('/')}/digests/{self.digest_id}"

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in order."""
        return tuple(group for section in self.sections for group in section.groups)

    @property
    def new(self) -> tuple[NamedAlert, ...]:
        """What is told now, in order."""
        return tuple(one for group in self.groups for one in group.alerts if one.is_new)

    @property
    def open(self) -> tuple[NamedAlert, ...]:
        """Of these, what somebody still has to take on."""
        return tuple(one for one in self.new if not (one.has_ended or one.taken_on))


def compose_digest(digest: Digest, channel: ChannelName) -> Message:
    """Write the message of a digest. Only what its channel sends is written: lists of thousands are long."""
    return Message(
        subject=" ".join((f"【守望】{_counts(digest)}", _where(digest, VILLAGES_IN_SUBJECT), _earliest(digest))),
        text="\n".join(_text(digest)) if channel is ChannelName.SMTP else "",
        body=_body(digest).model_dump_json() if channel is ChannelName.WEBHOOK else "",
        brief="\n".join(
            (f"【守望】{_counts(digest)}", _where(digest, VILLAGES_IN_BRIEF), _earliest(digest), digest.link)
        ),
    )


def _counts(digest: Digest) -> str:
    return "、".join(f"{_titles(section)[0]}{_sign(section).strip()}{section.new}户" for section in digest.sections)


def _titles(section: Section) -> tuple[str, str]:
    return ("预警结束", "Ended") if section.grade is None else grade_title(section.look)


def _where(digest: Digest, most: int) -> str:
    """Name the first villages, each with the number of its alerts where there are several; bursts as a whole."""
    totals: dict[str, list[int]] = {}
    for group in digest.groups:
        for one in group.alerts:
            count = totals.setdefault(_village(one, 20), [0, 0])
            count[0] += 1
            count[1] += one.is_new
    named = [f"{village}{_households_zh(*count)}" for village, count in list(totals.items())[:most]]
    return "、".join(named) + (f"等{len(totals)}村" if len(totals) > most else "")


def _households_zh(households: int, new: int) -> str:
    return f"{households}户" if new == households else f"{households}户（新增{new}）"


def _households_en(households: int, new: int) -> str:
    words = f"{households} household{'' if households == 1 else 's'}"
    return words if new == households else f"{words} ({new} new)"


def _earliest(digest: Digest) -> str:
    """What is most urgent of what nobody has taken on yet."""
    late = sum(one.reason in _LATE for one in digest.open)
    if late:
        return f"{late}户已超时，请立即处理"
    # The deadlines of an alert's first days say nothing about what its recurring task needs.
    timed = [one for one in digest.open if one.reason not in _CALLS]
    for deadlines, act in (
        ([one.acknowledge_by for one in timed], "签收"),
        ([one.visit_by for one in timed], "入户核实"),
    ):
        known = [instant for instant in deadlines if instant is not None]
        if known:
            return f"最早请在{local_time(min(known))}前{act}"
    return "请及时核实" if digest.open else "无需马上处理"


def _text(digest: Digest) -> Iterator[str]:
    households = len(digest.new)
    yield f"{households}户预警，先重后轻，时间为北京时间。"
    yield f"名单、原因、措施和签收（登录后）：{digest.link}"
    for section in digest.sections:
        yield from ("", f"{_sign(section)}{_titles(section)[0]} {section.new}户")
        for group in section.groups:
            if group.is_burst:
                first = _village(group.alerts[0], LONGEST_VILLAGE)
                yield f"{first} {len(group.alerts)}户（新增{group.new}）"
            yield from (_line_zh(one, group) for one in group.alerts)
    yield from ("", "", f"{_households_en(households, households)}, the worst first; times are Beijing times.")
    yield f"List, reasons, measures and acknowledgement after login: {digest.link}"
    for section in digest.sections:
        yield from ("", f"{_sign(section)}{_titles(section)[1]}: {_households_en(section.new, section.new)}")
        for group in section.groups:
            if group.is_burst:
                first, count = _village(group.alerts[0], LONGEST_VILLAGE), len(group.alerts)
                yield f"{first}: {count} household{'' if count == 1 else 's'} ({group.new} new)"
            yield from (_line_en(one, group) for one in group.alerts)
    yield ""


def _sign(section: Section) -> str:
    return "" if section.grade is None else f"{section.look.sign} "


def _line_zh(one: NamedAlert, group: Group) -> str:
    new = "【新】" if group.is_burst and one.is_new else ""
    where = "" if group.is_burst else f"（{_village(one, LONGEST_VILLAGE)}）"
    return f"{new}{one.household}{where} {_call(one)[0]} {one.link}"


def _line_en(one: NamedAlert, group: Group) -> str:
    new = "[new] " if group.is_burst and one.is_new else ""
    where = "" if group.is_burst else f" ({_village(one, LONGEST_VILLAGE)})"
    return f"{new}{one.household}{where}: {_call(one)[1]}, {one.link}"


def _call(one: NamedAlert) -> tuple[str, str]:
    """What to do by when, in one clause of each language."""
    if one.taken_on and not one.has_ended:
        visited = one.status is AlertStatus.VISITED
        return ("已入户", "visited") if visited else ("已签收", "acknowledged")
    if one.reason in _CALLS:
        return _CALLS[one.reason]
    again_zh, again_en = _AGAIN.get(one.reason, ("", ""))
    if one.acknowledge_by is not None:
        by = local_time(one.acknowledge_by)
        return f"请在{by}前签收{again_zh}", f"acknowledge by {by}{again_en}"
    if one.visit_by is not None:
        by = local_time(one.visit_by)
        return f"请在{by}前入户核实{again_zh}", f"visit by {by}{again_en}"
    return f"请及时核实{again_zh}", f"please check soon{again_en}"


def _village(one: NamedAlert, most: int) -> str:
    return plain(one.village, most)


def _body(digest: Digest) -> DigestBody:
    bursts = [group for group in digest.groups if group.is_burst]
    places = {id(group): place for place, group in enumerate(bursts)}
    return DigestBody(
        digest_id=digest.digest_id,
        alerts=tuple(_alert(one, places.get(id(group))) for group in digest.groups for one in group.alerts),
        bursts=tuple(_burst(group.alerts, group.new) for group in bursts),
        link=digest.link,
    )


def _alert(one: NamedAlert, burst: int | None) -> DigestAlert:
    return DigestAlert(
        alert_id=one.alert_id,
        household_id=one.household_id,
        alias=plain(one.alias, 40) if one.alias else None,
        division=one.division,
        village=_village(one, LONGEST_VILLAGE),
        grade=one.grade.code,
        reason=one.reason,
        status=one.status,
        opened_at=one.opened_at,
        acknowledge_by=one.acknowledge_by,
        visit_by=one.visit_by,
        link=one.link,
        revision=one.revision,
        is_new=one.is_new,
        burst=burst,
    )


def _burst(alerts: Sequence[NamedAlert], new: int) -> DigestBurst:
    first = alerts[0]
    return DigestBurst(
        division=first.division,
        village=_village(first, LONGEST_VILLAGE),
        grade=first.grade.code,
        households=len(alerts),
        new=new,
    )
