"""Evidence: one event, boiled down to what later days can still need of it.

An event becomes a short row of numbers once, when it arrives; every later evaluation reads only these.
Days are ordinals (date.toordinal), amounts whole fen, causes and guarantees their places in the catalogue's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shared.events.catalogue import EVENT_TYPES, EventType
from shared.events.effects import Breach, Effect, Guarantee, Housing, Kind, Mark, Money, Restore, Structure
from shared.events.household_event import AUTHORITY, HouseholdEvent, SourceClass
from shared.events.payloads import CAUSES, Payload
from shared.grades import RiskGrade

NEVER = 9_999_999
"""A day (ordinal) beyond all calendars."""

# The first number of an effect row says what follows it.
LOSS, EXPENSE, GAIN, ASSISTANCE, RELIEF = 0, 1, 2, 3, 4  # cause, fen, imputed, permanent
BREACH = 5  # guarantee, cause
HOUSING = 6  # housing rank, cause, worsens only
RESTORE = 7  # guarantee
STRUCTURE = 8  # members, full labour, weak labour
DEBT = 9  # fen
ILLNESS = 10
VISIT = 11  # result
SELF_REPORT = 12
CONCERN = 13
ASSESSMENT = 14  # grade

Row = tuple[int, ...]

MONEY_CODES = {
    Kind.LOSS: LOSS,
    Kind.EXPENSE: EXPENSE,
    Kind.GAIN: GAIN,
    Kind.ASSISTANCE: ASSISTANCE,
    Kind.RELIEF: RELIEF,
}
GUARANTEES = tuple(Guarantee)
FOOD, EDUCATION, MEDICAL, HOUSE, WATER = range(5)
HOUSING_RANKS = ("ok", "A", "B", "C", "D", "destroyed")
HOUSING_B, HOUSING_C, HOUSING_D = 2, 3, 4
CAUSE_RANKS: Mapping[str, int] = {cause: rank for rank, cause in enumerate(CAUSES)}
NO_CAUSE = -1
NO_CHANGE, CONCERNED, EMERGENCY = 0, 1, 2
_VISIT_RESULTS = {"no_change": NO_CHANGE, "concern": CONCERNED, "emergency": EMERGENCY}
_SELF_RANK = AUTHORITY[SourceClass.SELF]
_JOIN_EPISODES = frozenset(kind for kind, event_type in EVENT_TYPES.items() if event_type.joins_episodes)


class Evidence(NamedTuple):
    """One event as evaluations read it.

    authority: rank of the source, 0 weighs most. certain_from: first day on which it counts as more than the
    household's own word (0 = always, NEVER = not verified). episode: family and episode, "" = takes part in none.
    """

    event_id: str
    source: str
    occurred: int
    authority: int
    certain_from: int
    episode: str
    effects: tuple[Row, ...]


def evidence_of(event: HouseholdEvent, payload: Payload, verified_from: int = NEVER) -> Evidence:
    """Boil an event down; its payload has been read (and corrected) already."""
    event_type = EVENT_TYPES[event.type]
    rows = tuple([row for effect in event_type.effects for row in _rows(effect, event_type, payload)])
    episode = (event.episode or payload.episode) if event.type in _JOIN_EPISODES else None
    authority = AUTHORITY[event.source_class]
    certain = authority != _SELF_RANK or _speaks_for_itself(event_type, rows)
    return Evidence(
        event.event_id,
        event.source,
        event.occurred_on.toordinal(),
        authority,
        0 if certain else verified_from,
        f"{event_type.family}|{episode}" if episode else "",
        rows,
    )


def _speaks_for_itself(event_type: EventType, rows: tuple[Row, ...]) -> bool:
    # Hunger and a ruined house are believed before anyone has been there.
    if any(isinstance(effect, Breach) and effect.counts_unverified for effect in event_type.effects):
        return True
    return any(row[0] == HOUSING and row[1] >= HOUSING_D for row in rows)


def _rows(effect: Effect, event_type: EventType, payload: Payload) -> tuple[Row, ...]:
    match effect:
        case Money():
            return _money(effect, event_type, payload)
        case Mark():
            return _mark(effect, payload)
        case Breach():
            if effect.flag_field and not _field(payload, effect.flag_field):
                return ()
            return ((BREACH, GUARANTEES.index(effect.guarantee), _cause(event_type, payload)),)
        case Housing():
            grade = _field(payload, effect.field) or effect.default
            if grade == "none":
                return ()
            rank = HOUSING_RANKS.index(str(grade))
            return ((HOUSING, rank, _cause(event_type, payload), int(effect.worsens_only)),)
        case Restore():
            return ((RESTORE, GUARANTEES.index(effect.guarantee)),)
        case Structure():
            return ((STRUCTURE, *_structure(effect, payload)),)
    return ()


def _money(effect: Money, event_type: EventType, payload: Payload) -> tuple[Row, ...]:
    fen = _field(payload, effect.field)
    imputed = fen is None
    amount = (effect.default_yuan or 0) * 100 if fen is None else _whole(fen)
    if effect.months_field:
        months = _field(payload, effect.months_field)
        amount *= effect.default_months if months is None else _whole(months)
    if not amount:
        return ()
    cause = NO_CAUSE if effect.kind in (Kind.GAIN, Kind.ASSISTANCE) else _cause(event_type, payload)
    return ((MONEY_CODES[effect.kind], cause, amount, int(imputed), int(effect.permanent)),)


def _cause(event_type: EventType, payload: Payload) -> int:
    named = payload.cause if event_type.payload_cause else None
    return CAUSE_RANKS[named or event_type.cause or "other"]


def _structure(effect: Structure, payload: Payload) -> tuple[int, int, int]:
    if effect is Structure.CHANGE:
        members, full, weak = (
            _whole(_field(payload, name) or 0) for name in ("n_delta", "labour_full_delta", "labour_weak_delta")
        )
        return members, full, weak
    if effect is Structure.DEATH:
        labour = _field(payload, "labour") or "full"
        return -1, -(labour == "full"), -(labour == "weak")
    before, after = _field(payload, "labour_from") or "full", _field(payload, "labour_to") or "weak"
    return 0, (after == "full") - (before == "full"), (after == "weak") - (before == "weak")


def _mark(effect: Mark, payload: Payload) -> tuple[Row, ...]:
    match effect:
        case Mark.ILLNESS:
            return ((ILLNESS,),)
        case Mark.DEBT:
            return ((DEBT, _whole(_field(payload, "due_12m_yuan"))),)
        case Mark.VISIT:
            return ((VISIT, _VISIT_RESULTS[str(_field(payload, "result") or "no_change")]),)
        case Mark.SELF_REPORT:
            return ((SELF_REPORT,),)
        case Mark.CONCERN:
            return ((CONCERN,),)
        case Mark.ASSESSMENT:
            floor = _field(payload, "floor")
            return () if floor is None else ((ASSESSMENT, int(RiskGrade.from_code(str(floor)))),)
    return ()


def _field(payload: Payload, name: str) -> object:
    # The catalogue's row names the field; a test reads every row's example, so a wrong name does not get far.
    value: object = getattr(payload, name)
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole number was expected in this field")
    return value
