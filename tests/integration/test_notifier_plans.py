"""What is asked again and again reads what is under way, however many messages were sent in years before."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from services.notifier.store import lists, reconciling
from services.notifier.store.releasing import _WAITS
from shared.clock import SettableClock
from shared.db.session import transaction
from tests.fakes.notifier import NOW, Parts, make_change, make_person

pytestmark = pytest.mark.integration
YEARS = 20_000
MESSAGES = """
    INSERT INTO alert_message (alert_id, revision, reason, subject, text, body, brief, decided_at)
    SELECT alert_id, n, reason, subject, text, body, brief, decided_at
    FROM alert_message, generate_series(2, 20001) AS n WHERE revision = 1
"""
DELIVERIES = """
    INSERT INTO delivery (alert_id, revision, staff_id, channel, reason, routed_as, grade, target, message_id, status,
                          attempts, next_attempt_at, created_at, sent_at)
    SELECT alert_id, n, staff_id, channel, reason, routed_as, grade, target, message_id || n, 'sent',
           1, next_attempt_at, created_at, created_at
    FROM delivery, generate_series(2, 20001) AS n WHERE revision = 1
"""
LISTS = """
    INSERT INTO weekly_list (staff_id, division, week, made_at, told, households, subject, text, body, brief)
    SELECT staff_id, division, '2026-03-02', CAST(:now AS timestamptz), staff_id, 1, '', '', '', '' FROM staff
"""
LIST_DELIVERIES = """
    INSERT INTO list_delivery (list_id, channel, target, message_id, status, next_attempt_at, created_at)
    SELECT list_id, 'smtp', 'smtp', 'list' || list_id, 'pending', made_at, made_at FROM weekly_list
"""


@pytest.fixture
async def after_years(engine):
    parts = Parts(engine, SettableClock(NOW))
    await parts.people(make_person("cadre"))
    await parts.take(make_change("red"))
    async with transaction(engine) as connection:
        await connection.exec_driver_sql(MESSAGES)
        await connection.exec_driver_sql(DELIVERIES)
        await connection.execute(text(LISTS), {"now": NOW})
        await connection.exec_driver_sql(LIST_DELIVERIES)
        await connection.exec_driver_sql("ANALYZE")
    return engine


WAITS = f"SELECT alert_id FROM delivery WHERE {_WAITS.compile(compile_kwargs={'literal_binds': True})} ORDER BY 1"


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (WAITS, {}),
        (reconciling._WAITING.text, {"until": NOW}),
        (reconciling._OVERDUE.text, {"until": NOW}),
        (
            lists._CLAIM.text,
            {
                "channel": "smtp",
                "now": NOW,
                "most": 8,
                "leased_until": NOW + timedelta(minutes=1),
                "worker": "one",
            },
        ),
    ],
    ids=["release", "waiting", "overdue", "lists"],
)
async def test_nothing_that_is_asked_at_every_turn_reads_all_that_was_ever_sent(after_years, statement, values):
    async with transaction(after_years) as connection:
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        (found,) = (await connection.execute(explained, values)).scalar_one()
    assert _read(found["Plan"]) < YEARS / 10


def _read(node):
    """How many deliveries a plan's nodes have read, passed on or not."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if node.get("Relation Name") == "delivery" else 0
    return rows * node["Actual Loops"] + sum(map(_read, node.get("Plans", ())))
