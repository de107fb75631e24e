"""docs/fault-report.md from the kept results: `python -m tests.chaos.report`, or --report after a campaign.

With --after COMMIT,..., of older states of the code comes what was not run again with the last one: for when only the
injection of a few faults was mended.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.places import REPOSITORY
from tests.chaos.faults import FAULTS, NOT_INJECTED
from tests.chaos.results import LATEST, RESULTS, Result, last_line, machine

REPORT = REPOSITORY / "docs" / "fault-report.md"

FEW = 5
"""So many faults of a seed are named; of more only the number."""
NOT_YET = "not run with this state of the code yet"
INVARIANTS: Mapping[str, str] = {
    "I1": "Each event that was answered 202 stands exactly once in the ledger, or in quarantine with a reason (lost).",
    "I2": "No event stands in the ledger twice, whatever was sent again (doubled).",
    "I3": "Nothing stands there that was definitely refused, and nothing that nobody sent (phantom).",
    "I4": "A second, independent reading of the rules finds the same grade and score for each household (misgraded).",
    "I5": "A household's events stand in the order of the log, without a hole (misordered).",
    "I6": "Each household that turned red has its one open alert, and each alert its change of grade (silent).",
    "I7": "Each of these alerts reached somebody's device in time, by the devices' own journal (silent).",
    "I8": "No device got an alert that no change of grade stands behind (unsolicited).",
    "I9": "Nobody who had lost a partition wrote to it afterwards (stale_owner).",
    "I11": "No text that stood in refused events only is found in answers, logs or messages (dishonest).",
    "I12": "After the fault everything was ready again and nothing was left to do within the bound (unready).",
    "I13": "Nothing was answered 202 while the log could keep nothing (false_ack).",
    "I14": "Memory and open files of each service stayed below their caps (over_cap).",
    "I15": "No server error outside faults; refusals are problem documents without the caller's values (dishonest).",
}

HEAD = """# What the system did when things broke

Made by `make chaos` from the results of the runs; do not edit it. How a run goes: three brokers, PostgreSQL with fsync,
ingest, two scorers and two notifiers run as processes of their own, each behind a proxy. Households are enrolled, a
seeded load of ordinary and grave events begins, the fault comes, stays and goes, the load ends, every event whose fate
the client does not know is sent again, and all that is under way may end. Then the client's journal, the devices'
journals and the tables are held against each other. A run in which the fault had no visible effect, fewer than 30 % of
the sends were taken or fewer than 50 households turned red counts as failed, because it proved nothing. After each
eight faults every service is restarted and those runs are judged together again (codes "again").

"Well again" is the time from the end of the fault until every service was ready and nothing was left to do; it holds
3 s of further load and the resending of what the client did not know.
"""


def write_report(path: Path = REPORT, after: Sequence[str] = ()) -> Path:
    """Write the report of the campaign that ran last; return where. after: older states of the code, oldest first."""
    latest = json.loads(LATEST.read_text(encoding="utf-8"))
    by_run: dict[tuple[str, int], Result] = {}
    replaced: list[Result] = []
    for one in (one for commit in (*after, latest["commit"]) for one in stored(commit)):
        older = by_run.get((one.code, one.seed))
        replaced += [older] if older is not None and not older.valid else []
        by_run[one.code, one.seed] = one
    results = sorted(by_run.values(), key=lambda one: (_number(one.code), one.seed))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(_lines(latest, results, replaced)) + "\n", encoding="utf-8")
    return path


def stored(commit: str) -> list[Result]:
    """Return all results that are kept of one state of the code, in the order of codes and seeds."""
    found = [Result.load(path) for path in RESULTS.glob(f"*-{commit}.json")]
    return sorted((result for result in found if result is not None), key=lambda one: (_number(one.code), one.seed))


def _lines(latest: Mapping[str, Any], results: Sequence[Result], replaced: Sequence[Result]) -> Iterator[str]:
    day = datetime.fromtimestamp(latest["at"], UTC).date().isoformat()
    yield HEAD
    yield f"Code: {_code(results, latest['commit'])}. Day: {day}. Machine: {machine()}.\n"
    yield f"`{last_line(results)}`\n"
    yield from _table(results)
    yield "\n## Not run\n\n| fault | reason |\n| --- | --- |"
    missing = FAULTS.keys() - {result.code for result in results}
    not_run = {**dict.fromkeys(missing, NOT_YET), **NOT_INJECTED, **latest["not_run"]}
    for code in sorted(not_run, key=_number):
        yield f"| {code} | {not_run[code]} |"
    yield from _repeated(results, replaced)
    yield from _receipts(results)
    yield "\n## What was held against each other\n"
    for name, words in INVARIANTS.items():
        yield f"- {name}: {words}"


def _code(results: Sequence[Result], commit: str) -> str:
    """The commits, the last one first, and what of each seed was run on them."""
    ran: dict[str, dict[int, list[str]]] = {commit: {}}
    for result in results:
        ran.setdefault(result.commit, {}).setdefault(result.seed, []).append(result.code)
    return "; ".join(f"`{one}`, {', '.join(_seeds(seeds))}" for one, seeds in ran.items() if seeds)


def _seeds(ran: Mapping[int, Sequence[str]]) -> Iterator[str]:
    for seed, codes in sorted(ran.items()):
        yield f"seed {seed} ({', '.join(codes) if len(codes) <= FEW else f'{len(codes)} runs'})"


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| fault | what was done | what a bystander saw (first seed) | well again, s, by seed | verdict |"
    yield "| --- | --- | --- | --- | --- |"
    by_code: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_code[result.code].append(result)
    for code, runs in by_code.items():
        title = FAULTS[code].title if code in FAULTS else runs[0].title
        recovery = ", ".join("never" if run.recovery_seconds is None else f"{run.recovery_seconds:g}" for run in runs)
        verdict = "ok" if all(run.valid for run in runs) else "; ".join(_verdicts(runs))
        yield f"| {code} | {_cell(title)} | {_cell(runs[0].seen)} | {recovery} | {_cell(verdict)} |"


def _verdicts(runs: Iterable[Result]) -> Iterator[str]:
    return (f"seed {run.seed}: {run.verdict}" for run in runs if not run.valid)


def _repeated(results: Sequence[Result], replaced: Sequence[Result]) -> Iterator[str]:
    """Runs whose results the table shows no more, on the same code or on an older state of it."""
    rows = [(run, verdict) for run in results for verdict in run.earlier]
    rows += [(run, f"{run.verdict} (on `{run.commit}`)") for run in replaced]
    if not rows:
        return
    yield "\n## Runs that were repeated\n\n| fault | seed | what the earlier run found |\n| --- | --- | --- |"
    for run, verdict in rows:
        yield f"| {run.code} | {run.seed} | {_cell(verdict)} |"


def _receipts(results: Sequence[Result]) -> Iterator[str]:
    """The judge's figures of the time from an event to its receipt on a device, worst run first."""
    rows = [(run, run.figures["receipt_seconds"]) for run in results if run.figures.get("receipt_seconds")]
    if not rows:
        return
    yield "\n## From a grave event to the receipt on a device\n"
    yield "Seconds from the moment the event was to be sent, over all red alerts of a run; the slowest runs first.\n"
    yield "| fault | seed | median | 99 of 100 | slowest |\n| --- | --- | --- | --- | --- |"
    for run, seconds in sorted(rows, key=lambda row: -row[1]["max"])[:15]:
        yield f"| {run.code} | {run.seed} | {seconds['p50']:.2f} | {seconds['p99']:.2f} | {seconds['max']:.2f} |"


def _cell(words: str) -> str:
    return words.replace("|", "/").replace("\n", " ")


def _number(code: str) -> tuple[str, int]:
    return (code[0], int(code[1:])) if code[1:].isdigit() else ("~", 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.report")
    parser.add_argument("--after", default="", help="older states of the code, oldest first: abc,def")
    given = parser.parse_args(arguments)
    print(f"written: {write_report(after=[one for one in given.after.split(',') if one])}")


if __name__ == "__main__":
    main()
