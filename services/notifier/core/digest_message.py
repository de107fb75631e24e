"""Several alerts in one message, in final words: Chinese first, then English.

As thin as a single message: household, village, grade, what to do by when, and a link for each. A mail and a webhook
name every alert that is new. Chat groups and text messages are too short for that: they say how many there are and
where, and link to the page that lists them. Bursts are named by village and number, never by their cause.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.notifier.core.digests import Group, NamedAlert, Section
from services.notifier.core.message import Message, colour_en, colour_zh, local_time, plain
from services.notifier.core.words import Wording, Words
from shared.alerts import TAKEN_BACK, AlertStatus, ChannelName, DigestAlert, DigestBody, DigestBurst, SendReason
from shared.policy import Look

_LATE = (SendReason.OVERDUE, SendReason.OVERDUE_VISIT)
_UNTIMED = (*_LATE, SendReason.REMINDER, *TAKEN_BACK)
"""Reasons for which an alert's deadlines say nothing about what is to be done."""
VILLAGES_IN_SUBJECT, VILLAGES_IN_BRIEF = 1, 5
LONGEST_VILLAGE = 40
BETWEEN_LANGUAGES = "\n\n\n"
"""What stands between the Chinese and the English text of a mail, and nowhere else in it."""


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


def compose_digest(digest: Digest, channel: ChannelName, wording: Wording) -> Message:
    """Write the message of a digest. Only what its channel sends is written: lists of thousands are long."""
    zh, en = _Telling(digest, wording.zh, colour_zh), _Telling(digest, wording.en, colour_en)
    is_mail, is_webhook = channel is ChannelName.SMTP, channel is ChannelName.WEBHOOK
    return Message(
        subject=zh.subject(),
        text=f"{_joined(zh)}{BETWEEN_LANGUAGES}{_joined(en)}\n" if is_mail else "",
        body=_body(digest).model_dump_json() if is_webhook else "",
        brief="\n".join(zh.brief()),
    )


def _joined(telling: "_Telling") -> str:
    return "\n".join(telling.lines())


@dataclass(frozen=True, slots=True)
class _Telling:
    """One digest in one language. colour: that language's word for a grade's look."""

    digest: Digest
    words: Words
    colour: Callable[[Look], str]

    def subject(self) -> str:
        """A mail's subject."""
        return self.words.gettext(
            "[Shouwang] %(counts)s %(where)s %(call)s",
            counts=self._counts(),
            where=self._where(VILLAGES_IN_SUBJECT),
            call=self._earliest(),
        )

    def brief(self) -> tuple[str, str, str, str]:
        """How many, where, by when, and the link; each on a line of its own."""
        counts = self.words.gettext("[Shouwang] %(counts)s", counts=self._counts())
        return counts, self._where(VILLAGES_IN_BRIEF), self._earliest(), self.digest.link

    def lines(self) -> Iterator[str]:
        """A mail's text."""
        _, digest = self.words.gettext, self.digest
        yield self.words.ngettext(
            "%(count)d household, the worst first; times are Beijing times.",
            "%(count)d households, the worst first; times are Beijing times.",
            len(digest.new),
        )
        yield _("List, reasons, measures and acknowledgement after login: %(link)s", link=digest.link)
        for section in digest.sections:
            title, households = self._title(section), self._households(section.new)
            yield ""
            yield _("%(sign)s%(title)s: %(households)s", sign=_sign(section), title=title, households=households)
            for group in section.groups:
                if group.is_burst:
                    yield self._heading(group)
                named = group.named
                yield from (self._line(one, group) for one in named)
                if rest := len(group.alerts) - len(named):
                    yield self.words.ngettext(
                        "%(count)d more household, told before, stands in the list.",
                        "%(count)d more households, told before, stand in the list.",
                        rest,
                    )

    def _counts(self) -> str:
        _ = self.words.gettext
        named = (
            _(
                "%(title)s %(sign)s %(households)s",
                title=self._title(section),
                sign=_sign(section).strip(),
                households=self._households(section.new),
            )
            for section in self.digest.sections
        )
        return self._listed(named)

    def _title(self, section: Section) -> str:
        if section.grade is None:
            return self.words.pgettext("digest", "Ended")
        return self.words.gettext("%(colour)s alert", colour=self.colour(section.look))

    def _where(self, most: int) -> str:
        """Name the first villages, each with the number of its alerts where there are several; bursts as a whole."""
        totals: dict[str, list[int]] = {}
        for group in self.digest.groups:
            for one in group.alerts:
                count = totals.setdefault(_village(one, 20), [0, 0])
                count[0] += 1
                count[1] += one.is_new
        named = self._listed(
            self.words.pgettext(
                "list", "%(village)s: %(households)s", village=village, households=self._households(*count)
            )
            for village, count in list(totals.items())[:most]
        )
        if len(totals) <= most:
            return named
        return self.words.gettext("%(named)s, %(count)d villages in all", named=named, count=len(totals))

    def _listed(self, named: Iterable[str]) -> str:
        return self.words.pgettext("list", ", ").join(named)

    def _households(self, households: int, new: int | None = None) -> str:
        said = self.words.ngettext("%(count)d household", "%(count)d households", households)
        if new is None or new == households:
            return said
        return self.words.gettext("%(households)s (%(new)d new)", households=said, new=new)

    def _earliest(self) -> str:
        """What is most urgent of what nobody has taken on yet."""
        _, still_open = self.words.gettext, self.digest.open
        if late := sum(one.reason in _LATE for one in still_open):
            return self.words.ngettext(
                "%(count)d household is overdue, please act now",
                "%(count)d households are overdue, please act now",
                late,
            )
        timed = [one for one in still_open if one.reason not in _UNTIMED]
        acknowledge = [one.acknowledge_by for one in timed if one.acknowledge_by is not None]
        if acknowledge:
            return _("the earliest: acknowledge by %(at)s", at=local_time(min(acknowledge)))
        visit = [one.visit_by for one in timed if one.visit_by is not None]
        if visit:
            return _("the earliest: visit by %(at)s", at=local_time(min(visit)))
        return _("please check soon") if still_open else _("nothing needs to be done at once")

    def _heading(self, group: Group) -> str:
        households = self.words.gettext(
            "%(households)s (%(new)d new)", households=self._households(len(group.alerts)), new=group.new
        )
        village = _village(group.alerts[0], LONGEST_VILLAGE)
        return self.words.pgettext("heading", "%(village)s: %(households)s", village=village, households=households)

    def _line(self, one: NamedAlert, group: Group) -> str:
        _ = self.words.gettext
        return _(
            "%(new)s%(household)s%(where)s: %(call)s, %(link)s",
            new=_("[new] ") if group.is_burst and one.is_new else "",
            household=one.household,
            where="" if group.is_burst else _(" (%(village)s)", village=_village(one, LONGEST_VILLAGE)),
            call=self._call(one),
            link=one.link,
        )

    def _call(self, one: NamedAlert) -> str:
        """What to do by when, in one clause."""
        words = self.words
        if one.taken_on and not one.has_ended:
            visited = one.status is AlertStatus.VISITED
            return words.pgettext("status", "visited") if visited else words.pgettext("status", "acknowledged")
        match one.reason:
            case SendReason.OVERDUE:
                return words.pgettext("digest", "not acknowledged in time, please act now")
            case SendReason.OVERDUE_VISIT:
                return words.pgettext("digest", "the visit is overdue, please acknowledge and visit now")
            case SendReason.REMINDER:
                return words.pgettext("digest", "a recurring task is due")
            case SendReason.WITHDRAWN:
                return words.pgettext("digest", "withdrawn, nothing needs to be done")
            case SendReason.HOUSEHOLD_CLOSED:
                return words.pgettext("digest", "closed in the register, nothing needs to be done")
            case SendReason.CORRECTED:
                return words.pgettext("digest", "corrected, now %(colour)s", colour=self.colour(one.look))
            case _:
                return self._deadline(one) + self._again(one)

    def _deadline(self, one: NamedAlert) -> str:
        _ = self.words.gettext
        if one.acknowledge_by is not None:
            return _("acknowledge by %(at)s", at=local_time(one.acknowledge_by))
        if one.visit_by is not None:
            return _("visit by %(at)s", at=local_time(one.visit_by))
        return _("please check soon")

    def _again(self, one: NamedAlert) -> str:
        _ = self.words.gettext
        match one.reason:
            case SendReason.GRADE_WORSE:
                return _(" (worse)")
            case SendReason.NEW_FIRST_CAUSE:
                return _(" (new first cause)")
            case _:
                return ""


def _sign(section: Section) -> str:
    return "" if section.grade is None else f"{section.look.sign} "


def _village(one: NamedAlert, most: int) -> str:
    return plain(one.village, most)


def _body(digest: Digest) -> DigestBody:
    bursts = [group for group in digest.groups if group.is_burst]
    places = {id(group): place for place, group in enumerate(bursts)}
    return DigestBody(
        digest_id=digest.digest_id,
        alerts=tuple(_alert(one, places.get(id(group))) for group in digest.groups for one in group.named),
        bursts=tuple(_burst(group) for group in bursts),
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


def _burst(group: Group) -> DigestBurst:
    first = group.alerts[0]
    return DigestBurst(
        division=first.division,
        village=_village(first, LONGEST_VILLAGE),
        grade=first.grade.code,
        households=len(group.alerts),
        new=group.new,
        named=len(group.named),
    )
