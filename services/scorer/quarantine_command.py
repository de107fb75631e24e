"""`shouwang-scorer quarantine`: what could not be applied, shown without what it says, and put on the log once more."""

import json
import re
from typing import Annotated, Any

import typer

from services.scorer.operator_command import NOT_DONE, WRONG_CALL, By, JsonLines, Operating, OptionalBy, operate, stop
from services.scorer.outcome import read_parked_reason
from services.scorer.read_record import REASONS
from services.scorer.rebuild_command import file_requests
from services.scorer.record_shape import printable, shape_of
from services.scorer.store import ParkedHousehold, QuarantineRow
from services.scorer.store.quarantine import CannotRetry
from services.scorer.store.refolds import Selection
from shared.bus.ports import TopicPartition
from shared.clock import to_rfc3339
from shared.grades import RiskGrade

commands = typer.Typer(help="Records that could not be applied, and households that are parked.", no_args_is_help=True)
# "3", "household.events.v1[3]" as logs and readiness write it, "household.events.v1-3" as Kafka's tools do.
_PARTITION = re.compile(r"(?:(?P<topic>.+?)(?:-|\[))?(?P<number>\d{1,4})\]?")


@commands.command("list")
def list_records(
    reason: Annotated[str | None, typer.Option(help=f"Only those with this reason: {', '.join(REASONS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: JsonLines = False,
) -> None:
    """List records in quarantine, the newest first."""
    if reason is not None and reason not in REASONS:
        raise typer.BadParameter(f"not one of {', '.join(REASONS)}", param_hint="--reason")
    for row in operate(lambda at: at.quarantine.newest(limit, reason)):
        typer.echo(json.dumps(_row(row)) if as_json else _line(row))


@commands.command("show")
def show(
    quarantine_id: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Also print what it says: personal data. Needs --by, and is noted.")
    ] = False,
    by: OptionalBy = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one record: where it stood, why it was refused, and its keys and lengths, but no value of it."""
    if reveal and by is None:
        stop("--reveal needs --by NAME", WRONG_CALL)
    if reveal and by is not None:
        row = operate(lambda at: at.quarantine.reveal(quarantine_id, by=by))
    else:
        row = operate(lambda at: at.quarantine.find(quarantine_id))
    if row is None:
        stop(f"{quarantine_id}: there is no such record", NOT_DONE)
    shown = {**_row(row), "key_id": row.key_id, "record_key": _key_shape(row), "shape": shape_of(row.record_value)}
    if reveal:
        shown["record_key"] = None if row.record_key is None else printable(row.record_key)
        shown["record"] = None if row.record_value is None else printable(row.record_value)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        typer.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


@commands.command("retry")
def retry(
    by: By,
    quarantine_ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers in the list")] = None,
    household: Annotated[
        str | None, typer.Option(help="Instead of records: the id of a parked household.", metavar="ID")
    ] = None,
    all_parked: Annotated[
        bool, typer.Option("--all-parked", help="Instead of records: every parked household.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also records that were put on the log again before.")] = False,
) -> None:
    """Put records on the log once more, or have parked households folded once more.

    All records are put there or none. What becomes of each is another row: in the ledger, or in quarantine again.
    Try one before many: records that are refused again count like any others, and 20 in a row halt a partition.
    """
    if [bool(quarantine_ids), household is not None, all_parked].count(True) != 1:
        stop("name records, or --household, or --all-parked", WRONG_CALL)
    if not quarantine_ids:
        filed = file_requests(Selection(household_id=household, parked_only=True), reason="retry", by=by)
        if not filed.households:
            stop("there is no such parked household" if household else "no household is parked", NOT_DONE)
        typer.echo(filed.in_words)
        return
    ids = sorted(set(quarantine_ids))

    async def put_on_log(at: Operating) -> str | None:
        try:
            await at.quarantine.retry(ids, by=by, again=again)
        except CannotRetry as error:
            return str(error)
        return None

    if problems := operate(put_on_log):
        stop(f"{problems}\nnothing was put on the log", NOT_DONE)
    typer.echo(f"on their way to the log again: {len(ids)}")


@commands.command("parked")
def parked(as_json: JsonLines = False) -> None:
    """List households that are parked: their history cannot be folded, their last good grade stays."""
    for household in operate(lambda at: at.refolds.parked()):
        row = _parked_row(household)
        typer.echo(json.dumps(row) if as_json else "  ".join(f"{name} {value}" for name, value in row.items()))


@commands.command("allow")
def allow(
    partition: Annotated[
        str, typer.Argument(metavar="PARTITION", help="Its number, or its name as readiness shows it")
    ],
    until_offset: Annotated[int, typer.Option(min=1, help="The first offset for which the limits apply again.")],
    by: By,
) -> None:
    """Let a halted partition go on: below an offset, any number of records may be put in quarantine.

    A partition halts when 20 records in a row, or more than 1 % of 1,000, cannot be applied. Nothing of them has been
    stored then. If this release is what cannot read them, mend that instead. A halted partition is tried again twice a
    minute, so no restart is needed.
    """

    async def lift(at: Operating) -> int | None:
        return await at.quarantine.allow(_partition(partition, at.topic), until_offset, by=by)

    try:
        next_offset = operate(lift)
    except LookupError as error:
        stop(str(error), NOT_DONE)
    typer.echo(f"allowed below offset {until_offset}; the partition stands at {next_offset or 0}")


def _partition(given: str, topic: str) -> TopicPartition:
    found = _PARTITION.fullmatch(given)
    if found is None or found["topic"] not in (None, topic):
        raise typer.BadParameter(f"give a partition of {topic}, such as 3")
    return TopicPartition(topic, int(found["number"]))


def _row(row: QuarantineRow) -> dict[str, Any]:
    return {
        "id": row.quarantine_id,
        "reason": row.reason,
        "detail": row.detail,
        "source": row.source,
        "event_id": row.event_id,
        "household_id": row.household_id,
        "place": f"{row.topic}[{row.topic_partition}]@{row.topic_offset}",
        "quarantined_at": to_rfc3339(row.quarantined_at),
        "retried_at": to_rfc3339(row.retried_at) if row.retried_at else None,
        "retried_by": row.retried_by,
    }


def _line(row: QuarantineRow) -> str:
    told = _row(row)
    line = f"{told['id']}  {told['quarantined_at']}  {told['reason']}: {told['detail']}  {told['place']}"
    line += "".join(f"  {name} {told[name]}" for name in ("source", "event_id", "household_id") if told[name])
    return line + (f"  retried {told['retried_at']} by {row.retried_by}" if row.retried_at else "")


def _key_shape(row: QuarantineRow) -> str | None:
    if row.record_key is None:
        return None
    is_household = row.household_id is not None and row.record_key == row.household_id.encode()
    return "the household's id" if is_household else f"{len(row.record_key)} bytes"


def _parked_row(household: ParkedHousehold) -> dict[str, Any]:
    reason, since = read_parked_reason(household.parked_reason)
    return {
        "household_id": household.household_id,
        "division": household.division,
        "grade": None if household.grade is None else RiskGrade(household.grade).code,
        "reason": reason,
        "since": since,
        "events": household.household_seq,
        "retry_asked": household.asked,
    }
