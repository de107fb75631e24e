"""Decides whether a decoded document is an event that this key may send now. Values in, an event or a refusal out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import ValidationError

from services.ingest.personal_numbers import personal_numbers
from shared.access import AccessKey, Scopes
from shared.clock import day_of, to_rfc3339
from shared.codec import JsonFraction, pointer
from shared.errors import Fault, RefusedRequest
from shared.events.catalogue import EVENT_TYPES, EventType, refused_from_self
from shared.events.checking import payload_faults
from shared.events.envelope import EARLIEST_DAY, MAX_AHEAD, EventMessage, faults_of, wire_type
from shared.events.household_event import SourceClass
from shared.events.schemas import SET_BY_INGEST

# More would help nobody to mend a document, and would let a small request have a large answer.
MAX_FAULTS = 20
# Of a payload, itself included: no field of any type lies deeper, also where a correction names it.
MAX_LEVELS = 4
# Days of the past by their nature: a year mistyped into the future would silence the household until then.
_DAYS_THAT_HAVE_COME = (("baseline", "as_of"), ("enrolled_on",), ("monitored_on",))
_HOLDING_DAYS = frozenset(path[0] for path in _DAYS_THAT_HAVE_COME)
_SURELY_LATE_ENOUGH = datetime.combine(EARLIEST_DAY + timedelta(days=2), time(), UTC)
_PLAIN = frozenset({str, int, bool, type(None)})
_TYPES: Mapping[str, EventType] = {wire_type(name): event_type for name, event_type in EVENT_TYPES.items()}
# W3C Trace Context: version 255 and ids of zeros only are not valid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def check_event(document: object, key: AccessKey, now: datetime) -> EventMessage:
    """Return the event that a decoded document holds.

    Raises RefusedRequest: unknown-event-type, invalid-event (with every fault found), time-ahead or forbidden, in
    this order. No refusal repeats a value of the document.
    """
    event = _read(document)
    event_type = _TYPES.get(event.type)
    if event_type is None:
        raise _unknown_type()
    faults = _payload_faults(event_type, event.data)
    faults += _faults_together(event_type, event, now)
    # Where a model has found one already, it need not be said twice.
    faults = faults or list(personal_numbers(event))
    if faults:
        raise _invalid(faults)
    if event.time - now > MAX_AHEAD:
        detail = f"the server's clock says {to_rfc3339(now)}; time may lie at most one day after it"
        raise RefusedRequest("time-ahead", detail, faults=[Fault("/time", "time_ahead", detail)])
    _check_scopes(key.scopes, event_type, event)
    return event.model_copy(update={"episode": None}) if event.episode == "" else event


def trace_of(values: Sequence[str]) -> str | None:
    """Return the W3C traceparent among a request's header values; None if there is no single valid one."""
    return values[0] if len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) else None


def _read(document: object) -> EventMessage:
    given: Mapping[str, Any] = document if isinstance(document, dict) else {}
    reserved = [
        Fault(pointer(name), "extra_forbidden", "the server sets this; leave it out")
        for name in SET_BY_INGEST
        if name in given
    ]
    try:
        event = EventMessage.model_validate(document)
    except ValidationError as error:
        named = given.get("type")
        event_type = _TYPES.get(named) if isinstance(named, str) else None
        payload = given.get("data")
        inside = _payload_faults(event_type, payload) if event_type and isinstance(payload, dict) else ()
        raise _invalid([*reserved, *faults_of(error), *inside]) from None
    if reserved:
        raise _invalid(reserved)
    return event


def _payload_faults(event_type: EventType, payload: Mapping[str, Any]) -> list[Fault]:
    faults = [Fault(f"/data{f.pointer}", f.code, f.detail) for f in payload_faults(event_type, payload)]
    # Only where the shape is free can these have come so far. Most payloads hold plain values alone.
    if faults or _PLAIN.issuperset(map(type, payload.values())):
        return faults
    return list(_free_faults(payload, "/data", MAX_LEVELS))


def _free_faults(value: object, path: str, levels: int) -> Iterator[Fault]:
    if isinstance(value, JsonFraction):
        yield Fault(path, "fraction", "write a whole JSON number, or an amount as text")
    elif isinstance(value, dict | list):
        if not levels:
            yield Fault(path, "too_deep", f"nest objects and arrays in a payload at most {MAX_LEVELS - 1} deep")
            return
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            yield from _free_faults(inner, path + pointer(step), levels - 1)


def _faults_together(event_type: EventType, event: EventMessage, now: datetime) -> list[Fault]:
    faults: list[Fault] = []
    if event.sourceclass is SourceClass.SELF and refused_from_self(event_type.type):
        faults.append(Fault("/sourceclass", "not_from_self", "a household cannot send this type about itself"))
    # The day in Shanghai is only worked out where it may matter.
    if event.time < _SURELY_LATE_ENOUGH and event.occurred_on < EARLIEST_DAY:
        faults.append(Fault("/time", "too_early", f"time may not lie before {EARLIEST_DAY.isoformat()}"))
    if not _HOLDING_DAYS.isdisjoint(event.data):
        faults += _faults_of_days(event.data, day_of(now + MAX_AHEAD))
    if event_type.area_event and event.subject != event.division:
        detail = "this type is about a division: give the same code as in division"
        faults.append(Fault("/subject", "not_the_division", detail))
    return faults


def _faults_of_days(payload: Mapping[str, Any], latest: date) -> Iterator[Fault]:
    for path in _DAYS_THAT_HAVE_COME:
        day = _day_at(payload, path)
        if day is not None and not EARLIEST_DAY <= day <= latest:
            yield Fault(pointer("data", *path), "day_out_of_range", f"give a day from {EARLIEST_DAY} to {latest}")


def _day_at(payload: Mapping[str, Any], path: Sequence[str]) -> date | None:
    found: Any = payload
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    try:
        return date.fromisoformat(found) if isinstance(found, str) else None
    except ValueError:
        return None


def _check_scopes(scopes: Scopes, event_type: EventType, event: EventMessage) -> None:
    is_inside = scopes.covers(event.division)
    if event_type.area_event:
        is_inside = is_inside and all(map(scopes.covers, event.data.get("divisions", ())))
    elif event_type.type == "registry.moved":
        # Nobody moves a household to where he may not write.
        is_inside = is_inside and scopes.covers(event.data["division"])
    if not is_inside:
        raise RefusedRequest("forbidden", f"the key's division scope is {scopes.division}; this lies outside it")
    if not scopes.may_write(event_type.type):
        raise RefusedRequest("forbidden", "the key's event type scope does not hold this type")
    if not scopes.may_send_as(event.source):
        raise RefusedRequest("forbidden", "the key's source scope does not hold this source")
    if event.sourceclass not in scopes.sourceclasses:
        allowed = ", ".join(scopes.sourceclasses) or "none"
        raise RefusedRequest("forbidden", f"the key's sourceclass scope is: {allowed}")


def _unknown_type() -> RefusedRequest:
    fault = Fault("/type", "unknown_type", "use a type that GET /v1/event-types lists: cn.shouwang.<type>.v1")
    return RefusedRequest("unknown-event-type", faults=[fault])


def _invalid(faults: Sequence[Fault]) -> RefusedRequest:
    left_out = len(faults) - MAX_FAULTS
    detail = f"and {left_out} more faults" if left_out > 0 else ""
    return RefusedRequest("invalid-event", detail, faults=faults[:MAX_FAULTS])
