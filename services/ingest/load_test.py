"""`shouwang-ingest load-test`: what does my machine carry? Made-up events by a timetable, and how long answers take."""

import asyncio
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.ingest.load.households import MADE_UP, Household, enrolment, households
from services.ingest.load.mix import ONE_ROW, ROWS, Mix
from services.ingest.load.open_loop import OpenLoop, Unreachable
from services.ingest.load.parcels import Parcel
from services.ingest.load.show import Run, as_document, as_text
from services.ingest.load.tally import Tally
from services.ingest.load.target import Target
from shared.clock import SystemClock, day_of
from shared.codec import encode_json

ENROLLED_AT_ONCE = 250
KEY_VARIABLE = "SHOUWANG_API_KEY"
_BATCH = re.compile(r"batch:([0-9]{1,3})")


class NotEnrolled(Exception):
    """The households of the load are not in the register; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent. batch: events of one request, None for one event a request; is_mixed: every type."""

    rate: float
    seconds: float
    connections: int
    households: Sequence[Household]
    batch: int | None
    is_mixed: bool


def load_test(
    url: Annotated[str, typer.Option(help="Address of ingest (default: of the local run).")] = "",
    key: Annotated[
        str, typer.Option(envvar=KEY_VARIABLE, show_default=False, help="Access key (default: of the local run).")
    ] = "",
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Events a second.")] = 100.0,
    duration: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds.")] = 30.0,
    mix: Annotated[
        str, typer.Option(help="'mix': an ordinary county; 'one': one type; 'batch:N': N a request.")
    ] = "mix",
    household_count: Annotated[
        int, typer.Option("--households", min=1, max=1_000_000, help="So many made-up households are enrolled first.")
    ] = 1_000,
    division: Annotated[str, typer.Option(help="Digits that the codes of their villages begin with.")] = "990101",
    test_households: Annotated[
        bool, typer.Option("--yes-these-are-test-households", help="Allow a division that does not begin with 99.")
    ] = False,
    connections: Annotated[int, typer.Option(min=1, max=5_000, help="Connections that are kept open.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send made-up events at a steady rate and tell how long the answers took; exit 1 if less than 99 % were taken.

    The households are enrolled first and stay. Grades, alerts and messages to the staff of the division follow.
    """
    if not re.fullmatch("[0-9]{2,12}", division):
        raise typer.BadParameter("--division takes 2 to 12 digits")
    if not division.startswith(MADE_UP) and not test_households:
        raise typer.BadParameter(
            f"this enrols made-up households; divisions that do not begin with {MADE_UP} hold real people. "
            "If this one does not, add --yes-these-are-test-households"
        )
    batch = _batch_of(mix)
    plan = Plan(rate, duration, connections, households(household_count, division), batch, is_mixed=mix != "one")
    try:
        run = _run(_target(url, key), plan)
    except (ValueError, Unreachable, NotEnrolled) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(as_document(run)))
    else:
        Console().print(as_text(run))
    if not run.is_good:
        raise typer.Exit(1)


def _batch_of(mix: str) -> int | None:
    if mix in ("mix", "one"):
        return None
    found = _BATCH.fullmatch(mix)
    if found is None or not 1 <= int(found[1]) <= 500:
        raise typer.BadParameter("--mix takes mix, one, or batch:N with N from 1 to 500")
    return int(found[1])


def _target(url: str, key: str) -> Target:
    """Where to send: as told, else to the local run. Raises ValueError."""
    if not url or not key:
        handles = _local_run()
        url, key = url or handles.get("ingest_url", ""), key or handles.get("api_key", "")
    if not url or not key:
        raise ValueError(f"no local run was found here: give --url, and the key in {KEY_VARIABLE}")
    return Target.of(url, key)


def _local_run() -> Mapping[str, str]:
    file = Path(os.environ.get("RUN_DIR") or ".local") / "run.json"
    try:
        handles: Mapping[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return handles


def _run(target: Target, plan: Plan) -> Run:
    if sys.platform == "win32":
        return asyncio.run(_measure(target, plan))
    import uvloop

    return uvloop.run(_measure(target, plan))


async def _measure(target: Target, plan: Plan) -> Run:
    await _enrol(target, plan)
    run = f"load-{secrets.token_hex(5)}"
    rows = ROWS if plan.is_mixed else (ONE_ROW,)
    events = Mix(plan.households, run, SystemClock().now, rows=rows, is_plain=not plan.is_mixed)
    parcels = events.one_by_one() if plan.batch is None else events.in_batches(plan.batch)
    tally = Tally()
    load = OpenLoop(target, plan.connections, tally)
    try:
        await load.open()
        started, used = time.perf_counter(), time.process_time()
        with _progress("sending", plan.seconds) as show:
            await load.run(parcels, every_seconds=(plan.batch or 1) / plan.rate, seconds=plan.seconds, on_tick=show)
        share = (time.process_time() - used) / (time.perf_counter() - started)
    finally:
        load.close()
    return Run(plan.rate, plan.seconds, tally, share, load.latest)


async def _enrol(target: Target, plan: Plan) -> None:
    """Put the households of the load into the register. Raises Unreachable, NotEnrolled."""
    tally = Tally()
    load = OpenLoop(target, min(plan.connections, 4), tally)
    today = day_of(SystemClock().now())
    with _progress("enrolling", len(plan.households)) as show:

        def parcels() -> Iterator[Parcel]:
            for start in range(0, len(plan.households), ENROLLED_AT_ONCE):
                some = plan.households[start : start + ENROLLED_AT_ONCE]
                yield Parcel([encode_json(enrolment(household, today)) for household in some], is_batch=True)
                show(start + len(some))

        try:
            await load.open()
            await load.send_all(parcels())
        finally:
            load.close()
    if tally.taken < tally.offered:
        reasons = ", ".join([*tally.problems] or ["no answer"])
        raise NotEnrolled(f"{tally.offered - tally.taken} of {tally.offered} households were not enrolled: {reasons}")


@contextmanager
def _progress(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """Give a function that is told how much is done; a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn(title), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=min(done, total))
