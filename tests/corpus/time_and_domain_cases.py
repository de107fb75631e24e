"""B51-B58: instants. B59-B70: what cannot be so in our trade, or not from this sender.

The clock of the corpus stands at 2026-03-02 10:00 in Shanghai.
"""

from typing import Any

from tests.corpus.case import CANARY, STORED, Case, Refused, amount, event, invalid, of_type
from tests.factories import make_baseline, make_household

AHEAD = Refused(422, "time-ahead", "/time")
FORBIDDEN = Refused(403, "forbidden")
_PHOTO = "/data/photo_refs/0"
UNKNOWN_TYPE = Refused(422, "unknown-event-type", "/type")


def _time(value: object) -> bytes:
    return event(time=value)


def _person(text: str) -> bytes:
    return event(data={"person": text})


def _survey(**changes: Any) -> bytes:
    return of_type("survey.result", {"baseline": make_baseline(**changes)})


def _said(event_type: str, **data: Any) -> bytes:
    return of_type(event_type, data)


def _enrolled(**changes: Any) -> bytes:
    return of_type("registry.enrolled", make_household(**changes), subject="H-enrolled")


TIMES = (
    Case("B51", "no offset", _time("2026-03-02T09:30:00"), invalid("/time")),
    Case("B51", "a day only", _time("2026-03-02"), invalid("/time")),
    Case("B51", "a space for the T", _time("2026-03-02 09:30:00+08:00"), invalid("/time")),
    Case("B51", "small letters, as the standard allows", _time("2026-03-02t01:30:00.123456789z"), STORED),
    Case("B51", "as mails write it", _time("Mon, 02 Mar 2026 09:30:00 +0800"), invalid("/time")),
    Case("B51", "week date", _time("2026-W10-1T09:30:00Z"), invalid("/time")),
    Case("B52", "year 0", _time("0000-01-01T00:00:00Z"), invalid("/time")),
    Case("B52", "year 1, before it began here", _time("0001-01-01T00:00:00+14:00"), invalid("/time")),
    Case("B52", "year 1989", _time("1989-12-31T23:59:59+08:00"), invalid("/time")),
    Case("B52", "the first day of 1990", _time("1990-01-01T00:00:00+08:00"), STORED),
    Case("B52", "year 9999", _time("9999-12-31T23:59:59-14:00"), invalid("/time")),
    Case("B52", "year 275760", _time("275760-09-13T00:00:00Z"), invalid("/time")),
    Case("B52", "year 9999 of a baseline", _survey(as_of="9999-12-31"), invalid("/data/baseline/as_of")),
    Case("B53", "29 February of a leap year", _time("2024-02-29T00:00:00+08:00"), STORED),
    Case("B53", "29 February of another", _time("2025-02-29T00:00:00+08:00"), invalid("/time")),
    Case("B53", "29 February 1900", _time("1900-02-29T00:00:00Z"), invalid("/time")),
    Case("B53", "31 April of a baseline", _survey(as_of="2025-04-31"), invalid("/data/baseline/as_of")),
    Case("B54", "leap second", _time("2016-12-31T23:59:60Z"), invalid("/time")),
    Case("B54", "hour 24", _time("2026-03-01T24:00:00Z"), invalid("/time")),
    Case("B55", "seconds since 1970", _time(1772415000), invalid("/time")),
    Case("B55", "milliseconds since 1970", _time(1772415000000), invalid("/time")),
    Case("B55", "milliseconds as text", _time("1772415000000"), invalid("/time")),
    Case("B56", "ten years ahead", _time("2036-03-02T09:30:00+08:00"), AHEAD),
    Case("B56", "a day and a second ahead", _time("2026-03-03T02:00:01Z"), AHEAD),
    Case("B56", "a day ahead", _time("2026-03-03T02:00:00Z"), STORED),
    Case("B56", "enrolled in 2099", _enrolled(enrolled_on="2099-01-01"), invalid("/data/enrolled_on")),
    Case("B57", "before 1970, as a number", _time(-1), invalid("/time")),
    Case("B57", "negative year", _time("-0001-01-01T00:00:00Z"), invalid("/time")),
    Case("B58", "offset +99:99", _time("2026-03-02T09:30:00+99:99"), invalid("/time")),
    Case("B58", "offset +24:00", _time("2026-03-02T09:30:00+24:00"), invalid("/time")),
    Case("B58", "offset -12:00", _time("2026-03-01T09:30:00-12:00"), STORED),
    Case("B58", "name of a zone", _time("2026-03-02T09:30:00[Asia/Shanghai]"), invalid("/time")),
)
DOMAIN = (
    # Nothing is thrown away because the register is late: taken, kept, and folded in once the household is enrolled.
    Case("B59", "household that no register knows", event(subject="H-nobody-knows"), STORED),
    Case("B59", "division that no register knows", event(division="990199999999"), STORED),
    Case("B59", "household id that is no id", event(subject="../../etc/passwd"), invalid("/subject")),
    Case("B60", "household of another village", event(division="990100101202"), FORBIDDEN, as_key="village"),
    Case("B60", "household of another province", event(division="110101001001"), FORBIDDEN),
    Case("B60", "move to another province", _said("registry.moved", division="110101001001"), FORBIDDEN),
    # We hold no identity or telephone numbers: whatever looks like one is refused in every text.
    Case("B61", "identity number", _person("11010119900307123X"), invalid("/data/person")),
    Case("B61", "identity number with a bad check digit", _person("110101199003071231"), invalid("/data/person")),
    Case("B61", "identity number of 15 digits", _person("110101900307123"), invalid("/data/person")),
    Case("B61", "identity number with a small x", _person("11010119900307123x"), invalid("/data/person")),
    Case("B61", "identity number in groups", _person("110101 19900307 1234"), invalid("/data/person")),
    Case("B61", "identity number as episode", event(episode="11010119900307123X"), invalid("/episode")),
    Case(
        "B61",
        "identity number in a correction",
        of_type("event.corrected", {"ref": "e-0", "payload": {"person": "11010119900307123X"}}),
        invalid("/data/payload/person"),
    ),
    Case("B62", "telephone number", _person("call 13912345678"), invalid("/data/person")),
    Case("B62", "telephone number with +86", _person("+8613912345678"), invalid("/data/person")),
    Case("B62", "telephone number with 0086", _person("008613912345678"), invalid("/data/person")),
    Case("B62", "telephone number in groups", _person("139 1234 5678"), invalid("/data/person")),
    Case("B62", "telephone number with hyphens", _person("+86-139-1234-5678"), invalid("/data/person")),
    Case("B62", "telephone number as photo", _said("survey.visit", photo_refs=["13912345678"]), invalid(_PHOTO)),
    Case("B62", "10 digits are no telephone number", _person("1391234567"), STORED),
    Case("B62", "12 digits are no telephone number", _person("139123456789"), STORED),
    Case("B63", "wages below zero", _survey(wage=-1), invalid("/data/baseline/wage")),
    Case("B63", "an operating loss", _survey(operating_net=-8000), STORED),
    Case("B63", "a loss beyond measure", _survey(operating_net=-10_000_001), invalid("/data/baseline/operating_net")),
    Case("B63", "relief below zero", _said("relief.disaster_relief", amount_yuan=-1), invalid("/data/amount_yuan")),
    Case("B64", "a household of nobody", _survey(members=0), invalid("/data/baseline/members")),
    Case("B64", "a household of a million", _survey(members=10**6), invalid("/data/baseline/members")),
    Case("B64", "a million affected", _said("water.failure", people_affected=10**6), invalid("/data/people_affected")),
    Case("B65", "a type that nobody knows", event(type="cn.shouwang.health.plague.v1"), UNKNOWN_TYPE),
    Case("B65", "a type without its prefix", event(type="health.major_illness"), UNKNOWN_TYPE),
    Case("B65", "a type in capitals", event(type="CN.SHOUWANG.HEALTH.MAJOR_ILLNESS.V1"), invalid("/type")),
    # The nearest to an empty set of readings: a payload without what it is about, and a list of nothing.
    Case("B66", "a disaster without its kind", _said("disaster.natural"), invalid("/data/hazard")),
    Case("B66", "a baseline without anything", _said("survey.result", baseline={}), invalid("/data/baseline/as_of")),
    Case("B66", "a visit without photographs", _said("survey.visit", result="no_change", photo_refs=[]), STORED),
    Case("B67", "ten thousand yuan with their unit", amount('"6 万"'), invalid("/data/self_pay_yuan")),
    Case("B67", "yuan sent as fen", amount("6000000000"), invalid("/data/self_pay_yuan")),
    Case("B67", "fen under their own name", event(data={"self_pay_fen": 6000000}), invalid("/data/self_pay_fen")),
    Case("B68", "the client's own grade", event(grade=CANARY), invalid("/grade")),
    Case("B68", "a grade in the payload", event(data={"grade": CANARY}), invalid("/data/grade")),
    Case("B68", "the client's own receipt", event(recordedat="2020-01-01T00:00:00Z"), invalid("/recordedat")),
    Case("B68", "another's key", event(keyid=CANARY), invalid("/keyid")),
    Case("B68", "speaking as a department", event(sourceclass="department"), FORBIDDEN, as_key="own_reports"),
    Case("B69", "the payload's next version", event(type="cn.shouwang.health.major_illness.v2"), UNKNOWN_TYPE),
    Case("B69", "the envelope's next version", event(specversion="2.0"), invalid("/specversion")),
    Case("B69", "the envelope's last draft", event(specversion="0.3"), invalid("/specversion")),
    *(
        Case("B70", f"no {name}", event(**{name: ...}), invalid(f"/{name}"))
        for name in ("specversion", "id", "source", "type", "subject", "time", "division", "sourceclass", "data")
    ),
    Case("B70", "no members", _said("survey.result", baseline={"wage": 1}), invalid("/data/baseline/members")),
    Case("B70", "a correction of nothing", _said("event.corrected", payload={}), invalid("/data/ref")),
)  # fmt: skip
CASES = (*TIMES, *DOMAIN)
