"""Judges one run, or everything."""

import asyncio
import time

from tests.chaos.checker.evidence import TABLES_FILE, Evidence
from tests.chaos.checker.journals import Journals, read_journals
from tests.chaos.checker.judge_alerts import judge_alerts
from tests.chaos.checker.judge_answers import judge_answers, judge_leaks
from tests.chaos.checker.judge_events import judge_events, open_books
from tests.chaos.checker.judge_grades import judge_grades, transitions_of
from tests.chaos.checker.judge_machine import judge_caps, judge_recovery
from tests.chaos.checker.judge_messages import judge_messages
from tests.chaos.checker.judge_order import histories_of, judge_order
from tests.chaos.checker.judge_receipts import judge_receipts
from tests.chaos.checker.position_log import judge_positions
from tests.chaos.checker.tables import Tables, kept_tables, read_tables
from tests.chaos.checker.verdict import Findings, Verdict

RED = 4


async def check(evidence: Evidence) -> Verdict:
    """Judge. Evidence and tables are kept in the evidence's directory, in place of those of the run before.

    Raises OSError, ValueError or asyncpg's errors if the database or a journal cannot be read: that is no verdict.
    """
    started = time.perf_counter()
    journals = await asyncio.to_thread(read_journals, evidence)
    if evidence.dsn:
        tables = await read_tables(evidence.dsn, evidence.runs, journals.since)
    else:
        tables = kept_tables(evidence.directory / TABLES_FILE)
    # In a thread: the runner's loop has devices and links to serve meanwhile.
    verdict = await asyncio.to_thread(judge, evidence, journals, tables)
    verdict.figures["check_seconds"] = round(time.perf_counter() - started, 3)
    if evidence.dsn:
        tables.keep(evidence.directory / TABLES_FILE)
        evidence.save()
    return verdict


def judge(evidence: Evidence, journals: Journals, tables: Tables) -> Verdict:
    """Judge what was read."""
    findings = Findings()
    books, histories, transitions = open_books(journals, tables), histories_of(tables.ledger), transitions_of(tables)
    judge_events(journals, tables, books, findings)
    judge_order(evidence, journals, histories, books, findings)
    meant = judge_grades(tables, histories, transitions, books, findings)
    alerts = judge_alerts(evidence, tables, transitions, meant, findings)
    judge_receipts(evidence, journals, tables, alerts, findings)
    judge_messages(journals, tables, findings)
    restored_at = [line["at"] for line in journals.marks("restored")]
    judge_positions(tables.position_log, restored_at, journals.since, findings)
    if tables.ledger and not tables.position_log:
        findings.convict("unexplained", "chaos_position_log", "is empty: nobody can tell who wrote positions")
    judge_answers(evidence, journals, findings)
    judge_leaks(evidence, journals, tables, findings)
    judge_recovery(evidence, findings)
    judge_caps(evidence, findings)
    if tables.unreadable_changes:
        why = f"the notifier could not read {tables.unreadable_changes} of the scorer's own messages"
        findings.convict("unexplained", "changes", why)
    findings.figures |= {
        "ledger": len(tables.ledger),
        "quarantine": len(tables.quarantine),
        "alerts": len(tables.alerts),
        "reds": sum(row.new_grade == RED and row.old_grade != RED for row in tables.transitions),
        "position_writes": len(tables.position_log),
    }
    return findings.verdict()
