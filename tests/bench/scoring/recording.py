"""Records what transactions tell the database, so that the very same can be told again without anything around it.

A listener on SQLAlchemy's engines, and a wrapper around what goes past them to the driver; nothing in the product knows
of it. Only transactions that were committed are kept,
and of these only the ones with a statement that a caller names.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from shared.db.driver import Driver

_UNDER_WAY = "bench transaction"
_COPY, _FETCH = Driver.copy, Driver.fetch


@dataclass(slots=True)
class Statement:
    """One statement as the driver gets it. names: of its values, by place.

    A COPY has the table behind that word, rows as values, and columns as names.
    """

    text: str
    values: Sequence[Any]
    names: Sequence[str]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.text.lstrip().upper().startswith("SELECT")

    def value(self, name: str) -> Any:
        """The value of this name. Raises ValueError."""
        return self.values[self.names.index(name)]


@dataclass(slots=True)
class Transaction:
    """One committed transaction. after: so many of the recorded ones had ended when it began."""

    after: int
    statements: list[Statement] = field(default_factory=list)
    committed: bool = False

    def holds(self, text: str) -> bool:
        """Whether a text stands in one of its statements."""
        return any(text in one.text for one in self.statements)


class Recorder:
    """Hands each recorded transaction to `keep` when it has ended, in the order of their ends.

    holding: kept are transactions of which one statement holds this text.
    """

    def __init__(self, holding: str, keep: Callable[[Transaction], None]) -> None:
        self._holding = holding
        self._keep = keep
        self._ended = 0

    def listen(self) -> None:
        """Begin, for all engines of this process."""
        for target, name, listener in self._listeners:
            event.listen(target, name, listener)
        Driver.copy, Driver.fetch = _noting_copy, _noting_fetch  # type: ignore[method-assign]

    def stop(self) -> None:
        """End."""
        for target, name, listener in self._listeners:
            event.remove(target, name, listener)
        Driver.copy, Driver.fetch = _COPY, _FETCH  # type: ignore[method-assign]

    def __enter__(self) -> "Recorder":
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _listeners(self) -> Sequence[tuple[Any, str, Callable[..., None]]]:
        return (
            (Engine, "begin", self._begin),
            (Engine, "before_cursor_execute", self._execute),
            (Engine, "commit", self._commit),
            # The connection goes back only once the database has answered the COMMIT.
            (Pool, "checkin", self._end),
        )

    def _begin(self, connection: Connection) -> None:
        connection.info[_UNDER_WAY] = Transaction(self._ended)

    def _execute(self, connection: Connection, _cursor: Any, text: str, values: Any, context: Any, _many: bool) -> None:
        under_way = connection.info.get(_UNDER_WAY)
        if under_way is not None:
            names = tuple(context.compiled.positiontup or ()) if context.compiled is not None else ()
            under_way.statements.append(Statement(text, tuple(values), names))

    def _commit(self, connection: Connection) -> None:
        under_way = connection.info.get(_UNDER_WAY)
        if under_way is not None:
            under_way.committed = True

    def _end(self, _connection: Any, record: Any) -> None:
        ended = record.info.pop(_UNDER_WAY, None)
        if ended is not None and ended.committed and ended.holds(self._holding):
            self._ended += 1
            self._keep(ended)


async def _noting_copy(driver: Driver, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    rows = list(rows)
    _note(driver, Statement(f"COPY {table}", rows, tuple(columns)))
    await _COPY(driver, table, columns, rows)


async def _noting_fetch(driver: Driver, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
    _note(driver, Statement(statement, values, ()))
    return await _FETCH(driver, statement, *values)


def _note(driver: Driver, statement: Statement) -> None:
    under_way = driver.connection.sync_connection.info.get(_UNDER_WAY) if driver.connection.sync_connection else None
    if under_way is not None:
        under_way.statements.append(statement)
