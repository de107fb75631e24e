"""What a village, a county, a province and a nation need, worked out from measured figures: a table in both READMEs.

`make bench` writes it; `python -m tests.bench.sizing` works it out again from what is published. How many events and
alerts there are is an assumption, told with the table; what they cost is measured.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from deploy.local.places import REPOSITORY
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.document import with_table
from tests.bench.published import read_published
from tests.bench.results import Record, figure

BEGIN = "<!-- sizing: begin; written by `make bench`, do not edit -->"
END = "<!-- sizing: end -->"

EVENTS_A_DAY = 0.13
"""Of one household: 45 events a second from 30 million."""
FLOOD = 16
"""So many times the mean: 700 events a second from 30 million households."""
EVENTS_AN_ALERT = 10
LOAD_SHARE = 0.5
"""Of the highest rate, that a part should have to carry in a flood."""
DAYS = 365
SECONDS_A_DAY = 86_400

RATE, SCORER = "end_to_end.events_per_second", "scorer.events_per_second"
MEMORIES = ("ingest.memory_mb", "scorer.memory_mb", "notifier.memory_mb")
LOG_BYTES, EVENT_BYTES = "size.log_bytes_per_event", "size.database_bytes_per_event"
HOUSEHOLD_BYTES, ALERT_BYTES = "size.database_bytes_per_household", "size.database_bytes_per_alert"
NEEDED = (RATE, SCORER, *MEMORIES, LOG_BYTES, EVENT_BYTES, HOUSEHOLD_BYTES, ALERT_BYTES)


class NotMeasured(ValueError):
    """Figures are missing."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place to be watched. households: those in its register."""

    name: str
    name_zh: str
    households: int


PLACES = (
    Place("village", "村", 300),
    Place("county", "县", 80_000),
    Place("province", "省", 1_000_000),
    Place("nation", "全国", 30_000_000),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a place needs. mean, flood: events a second. machines: like the measured one, each with all three services.

    memory_mb: of our services, all together. disk_gb: for a year, in 10^9 bytes, log and database once each.
    """

    place: Place
    mean: float
    flood: float
    machines: int
    partitions: int
    scorers: int
    memory_mb: float
    disk_gb: float


def measured_figures(lines: Sequence[Record]) -> dict[str, float]:
    """The figures that the table needs, by line. Raises NotMeasured."""
    values = {line["name"]: line["value"] for line in lines if line["name"] in NEEDED}
    missing = [name for name in NEEDED if values.get(name) is None]
    if missing:
        raise NotMeasured(f"these lines are needed and were not measured: {', '.join(missing)}")
    return values


def need(place: Place, measured: Mapping[str, float]) -> Need:
    """Work out what a place needs."""
    events_a_day = place.households * EVENTS_A_DAY
    mean = events_a_day / SECONDS_A_DAY
    flood = mean * FLOOD
    machines = ceil(flood / (LOAD_SHARE * measured[RATE]))
    scorers = max(machines, ceil(flood / (LOAD_SHARE * measured[SCORER])))
    ingest, scorer, notifier = (measured[name] for name in MEMORIES)
    events = events_a_day * DAYS
    disk = (
        place.households * measured[HOUSEHOLD_BYTES]
        + events * measured[EVENT_BYTES]
        + events / EVENTS_AN_ALERT * measured[ALERT_BYTES]
        + events_a_day * (HOUSEHOLD_EVENTS.retention_days or DAYS) * measured[LOG_BYTES]
    )
    return Need(
        place,
        mean,
        flood,
        machines,
        # A partition has one scorer; the topic is made with a multiple of what it has by itself.
        ceil(scorers / HOUSEHOLD_EVENTS.partitions) * HOUSEHOLD_EVENTS.partitions,
        scorers,
        machines * ingest + scorers * scorer + notifier,
        disk / 1e9,
    )


def table(measured: Mapping[str, float], facts: Mapping[str, Any]) -> Iterator[str]:
    """The table in English. facts: of the machine that was measured."""
    shown = {name: figure(value) for name, value in measured.items()}
    yield "| | households | events/s, mean and flood | machines | partitions | scorers | our memory | disk a year |"
    yield from _rows(measured, lambda place: place.name)
    yield ""
    yield (
        f"Measured on {facts['date']} (commit {facts['commit']}) on {facts['cores']} cores and {facts['memory']} that"
        f" Kafka and PostgreSQL share: {shown[RATE]} events/s from HTTP to the durable grade, {shown[SCORER]} by one"
        f" scorer; {shown[EVENT_BYTES]} bytes of database an event, {shown[HOUSEHOLD_BYTES]} a household,"
        f" {shown[ALERT_BYTES]} an alert, {shown[LOG_BYTES]} bytes of log an event, kept"
        f" {HOUSEHOLD_EVENTS.retention_days} days. Assumed: {EVENTS_A_DAY} events a household and day, {FLOOD} times"
        f" that in a flood, which may take half of a machine; one alert in {EVENTS_AN_ALERT} events; one copy of"
        " everything (three brokers: three times the log)."
    )


def table_zh(measured: Mapping[str, float], facts: Mapping[str, Any]) -> Iterator[str]:
    """The table in Chinese."""
    shown = {name: figure(value) for name, value in measured.items()}
    yield "| | 户数 | 每秒事件（平均、洪灾时） | 机器 | 分区 | scorer | 三个服务内存 | 一年磁盘 |"
    yield from _rows(measured, lambda place: place.name_zh)
    yield ""
    yield (
        f"{facts['date']} 测得（提交 {facts['commit']}），{facts['cores']} 核、{facts['memory']}，与 Kafka、PostgreSQL"
        f" 共用：从 HTTP 到评级落盘每秒 {shown[RATE]} 条事件，单个 scorer 每秒 {shown[SCORER]} 条；"
        f"数据库每条事件 {shown[EVENT_BYTES]} 字节、每户 {shown[HOUSEHOLD_BYTES]}、每条预警 {shown[ALERT_BYTES]}；"
        f"日志每条事件 {shown[LOG_BYTES]} 字节，保留 {HOUSEHOLD_EVENTS.retention_days} 天。"
        f"假设：每户每天 {EVENTS_A_DAY} 条事件，洪灾时 {FLOOD} 倍，最多占机器一半；"
        f"每 {EVENTS_AN_ALERT} 条事件一条预警；所有数据只算一份（三个 broker 则日志为三份）。"
    )


def _rows(measured: Mapping[str, float], name: Callable[[Place], str]) -> Iterator[str]:
    yield "|---|---|---|---|---|---|---|---|"
    for one in (need(place, measured) for place in PLACES):
        cells = (
            name(one.place),
            f"{one.place.households:,}",
            f"{_small(one.mean)}, {_small(one.flood)}",
            str(one.machines),
            str(one.partitions),
            str(one.scorers),
            f"{one.memory_mb:,.0f} MB",
            _gigabytes(one.disk_gb),
        )
        yield f"| {' | '.join(cells)} |"


def _small(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1g}"


def _gigabytes(size: float) -> str:
    return f"{size:,.0f} GB" if size >= 10 else f"{size:.1g} GB"


def write_sizing(lines: Sequence[Record], folder: Path = REPOSITORY) -> None:
    """Put the table into both READMEs. Raises NotMeasured, MarkersMissing."""
    measured = measured_figures(lines)
    facts = next(line["run"] for line in lines if line["name"] == RATE)
    for file, rows in (("README.md", table), ("README.zh-CN.md", table_zh)):
        path = folder / file
        fresh = with_table(path.read_text(encoding="utf-8"), "\n".join(rows(measured, facts)), begin=BEGIN, end=END)
        path.write_text(fresh, encoding="utf-8")


def main() -> int:
    """Write it from what is published; exit status 1 where that lacks what is needed."""
    try:
        write_sizing(read_published())
    except NotMeasured as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
