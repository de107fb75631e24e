"""Makes the rows of any household from those of the model of its kind."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.scorer.read_record import content_hash
from shared.codec import canonical_json
from shared.events.envelope import EventMessage, event_identity
from tests.bench.load.households import digits_of, division_of
from tests.bench.scoring.models import Model, ModelRow

Row = tuple[Any, ...]
_SET_BY_INGEST = {"recordedat", "keyid", "traceparent"}


@dataclass(slots=True)
class Household:
    """What sets a household apart from the model. identities, hashes, offsets: by the place of the event."""

    digits: str
    division: str
    partition: int
    identities: Sequence[bytes]
    hashes: Sequence[bytes]
    offsets: Sequence[int]


Cell = Callable[[Household], Any]


class Copier:
    """Copies one model. first_offset: at which offset of its batch the model's first event stood."""

    def __init__(self, model: Model, first_offset: int) -> None:
        self._digits = digits_of(model.number)
        self._division = division_of(model.number)
        self._events = [_EventText(event) for event in model.events]
        identities = [event_identity(event.source, event.id) for event in model.events]
        hashes = [content_hash(event) for event in model.events]
        self._of_bytes: dict[bytes, Cell] = {
            **{one: _identity(at) for at, one in enumerate(identities)},
            **{one: _hash(at) for at, one in enumerate(hashes)},
        }
        self._of_offset: dict[int, Cell] = {first_offset + at: _offset(at) for at in range(len(model.events))}
        self._rows = [(row.table, self._cells(row)) for row in model.rows]

    @property
    def events(self) -> int:
        """How many events the history has."""
        return len(self._events)

    def household(self, number: int, partition: int, first_offset: int) -> Household:
        """What sets the household with a number apart."""
        digits, division = digits_of(number), division_of(number)
        texts = [(event, event.id.replace(self._digits, digits)) for event in self._events]
        return Household(
            digits,
            division,
            partition,
            [event_identity(event.source, event_id) for event, event_id in texts],
            [self._content_hash(event, digits, division) for event in self._events],
            range(first_offset, first_offset + len(self._events)),
        )

    def rows(self, household: Household) -> Sequence[tuple[str, Row]]:
        """(table, values) of all its rows."""
        return [(table, tuple([cell(household) for cell in cells])) for table, cells in self._rows]

    def _content_hash(self, event: "_EventText", digits: str, division: str) -> bytes:
        sent = event.sent.replace(self._digits.encode(), digits.encode())
        sent = sent.replace(self._division.encode(), division.encode())
        return hashlib.blake2b(sent, digest_size=16).digest()

    def _cells(self, row: ModelRow) -> list[Cell]:
        return [self._cell(name, value) for name, value in row.values.items()]

    def _cell(self, column: str, value: Any) -> Cell:
        if column == "topic_partition":
            return lambda household: household.partition
        if column == "topic_offset":
            return self._of_offset[value]
        if isinstance(value, bytes) and value in self._of_bytes:
            return self._of_bytes[value]
        if isinstance(value, (str, bytes)):
            return _text(value, self._digits, self._division)
        return lambda _: value


class _EventText:
    """An event of the model, as its id and content are hashed."""

    def __init__(self, event: EventMessage) -> None:
        self.source = event.source
        self.id = event.id
        self.sent = canonical_json(event.model_dump(mode="json", exclude=_SET_BY_INGEST, exclude_none=True))
        if hashlib.blake2b(self.sent, digest_size=16).digest() != content_hash(event):
            raise RuntimeError("the scorer hashes other bytes of an event than the benchmark does; mend copying.py")


def columns_of(models: Sequence[Model]) -> Mapping[str, Sequence[str]]:
    """The columns of each table in which the models have rows."""
    return {row.table: list(row.values) for model in models for row in model.rows}


def _identity(at: int) -> Cell:
    return lambda household: household.identities[at]


def _hash(at: int) -> Cell:
    return lambda household: household.hashes[at]


def _offset(at: int) -> Cell:
    return lambda household: household.offsets[at]


def _text(value: str | bytes, digits: str, division: str) -> Cell:
    """A text or bytes in which the digits or the division may stand."""
    has_digits = digits in value if isinstance(value, str) else digits.encode() in value
    has_division = division in value if isinstance(value, str) else division.encode() in value
    if not has_digits and not has_division:
        return lambda _: value
    if isinstance(value, str):
        return lambda one: value.replace(digits, one.digits).replace(division, one.division)
    mine, place = digits.encode(), division.encode()
    return lambda one: value.replace(mine, one.digits.encode()).replace(place, one.division.encode())
