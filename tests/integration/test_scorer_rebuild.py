"""Stored households are folded anew from their ledgers when a person asks, and held against them at any time."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.core.folding import Folding
from services.scorer.verify import Difference, refold
from shared.events.household_event import SourceClass
from shared.grade_message import read_grade_change
from shared.policy import Policies, PolicyBook, default_policies
from tests.fakes.scorer import ScorerUnderTest, scorer_command
from tests.messages import enrolment, make_message
from tests.services import rows

pytestmark = pytest.mark.integration


async def household(engine: AsyncEngine, household_id: str = "H1") -> Any:
    return (await rows(engine, "SELECT * FROM household_state WHERE household_id = :id", id=household_id))[0]


async def told(engine: AsyncEngine) -> list[tuple[str, str | None, str, str]]:
    """(household, old grade, new grade, what brought it) of each message that waits for the log, which is emptied."""
    found = await rows(engine, "DELETE FROM outbox RETURNING outbox_id, topic, value")
    bodies = [bytes(row.value) for row in sorted(found, key=lambda row: row.outbox_id) if "changes" in row.topic]
    return [(one.household_id, one.old, one.new, one.trigger.kind) for one in map(read_grade_change, bodies)]


def unfoldable(monkeypatch: pytest.MonkeyPatch, event_id: str) -> None:
    """A release that cannot fold one event, by itself or in a history."""
    take = Folding.take

    def broken(self: Folding, event: Any, *rest: Any) -> bool:
        if event.event_id == event_id:
            raise OverflowError("this release cannot fold that")
        return take(self, event, *rest)

    monkeypatch.setattr(Folding, "take", broken)


async def test_a_parked_household_takes_up_what_came_meanwhile_once_it_can_be_folded(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = ScorerUnderTest(engine)
    with monkeypatch.context() as release:
        unfoldable(release, "bad")
        await scorer.take(enrolment(), make_message("edu.cost", data={"self_pay_yuan": 6000}, id="bad"))
        scorer.clock.move(timedelta(days=2))
        illness = make_message("health.major_illness", data={"self_pay_yuan": 60000}, at=scorer.clock.now())
        await scorer.take(illness)
        # Ingest was slow with this one: it was received before the one that stands before it in the ledger.
        await scorer.take(make_message("edu.dropout"))
        listed = json.loads((await scorer_command(database_url, "quarantine", "parked", "--json")).stdout)
        assert (listed["household_id"], listed["reason"], listed["grade"]) == ("H1", "OverflowError at bad", "green")
        assert (listed["since"], listed["retry_asked"]) == ("2026-03-02T02:00:00.000Z", False)

        retry = ("quarantine", "retry", "--household", "H1", "--by", "Li")
        assert (await scorer_command(database_url, *retry)).output.startswith("asked for: 1 household")
        await scorer.use_idle_time()
        assert scorer.count("refolds_total", outcome="failed") == 1
        assert (await household(engine)).status == "parked"
        assert await rows(engine, "SELECT 1 FROM refold_request") == []
    await told(engine)

    await scorer_command(database_url, "quarantine", "retry", "--all-parked", "--by", "Li")
    await scorer.use_idle_time()
    assert scorer.count("refolds_total", outcome="unparked") == 1
    assert await told(engine) == [("H1", "green", "red", "replay")]
    now = await household(engine)
    assert (now.status, now.parked_reason, now.grade, now.household_seq, now.version) == ("enrolled", None, 4, 4, 2)
    assert await refold(scorer.store, ["H1"], scorer.policies) == []
    async with scorer.store.snapshot() as reader:
        days = [event.recorded_on for event in (await reader.histories(["H1"]))["H1"]]
    assert days == sorted(days)
    assert (await scorer_command(database_url, *retry)).exit_code == 1
    audited = await rows(engine, "SELECT actor, action, object FROM audit_entry ORDER BY entry_id")
    assert [tuple(row) for row in audited] == [
        ("Li", "refold.retry", "household H1"),
        ("Li", "refold.retry", "all parked"),
    ]


def with_line(yuan: int) -> Policies:
    """The national policy with another line of poverty."""
    versions = [policy.model_copy(update={"line_yuan": yuan}) for policy in default_policies().versions]
    return Policies([], PolicyBook(versions))


async def test_a_rebuild_applies_a_changed_policy_to_the_stored_households_that_were_chosen(
    engine: AsyncEngine, database_url: str
) -> None:
    before = ScorerUnderTest(engine)
    await before.take(enrolment("H1"), enrolment("H2"), enrolment("RICH", baseline={"wage": 200_000}))
    await before.take(make_message("registry.moved", "H2", {"division": "990200101201"}))
    await told(engine)
    untouched = await household(engine, "RICH")

    after = ScorerUnderTest(engine, policies=with_line(12_000))
    assert {one.household_id for one in await refold(after.store, ["H1", "H2", "RICH"], after.policies)} == {"H1", "H2"}
    asked = await scorer_command(database_url, "rebuild", "--division", "9902", "--by", "Li")
    assert asked.output.startswith("asked for: 1 household(s)")
    await after.use_idle_time()
    assert [(household_id, kind) for household_id, _, _, kind in await told(engine)] == [("H2", "replay")]

    await scorer_command(database_url, "rebuild", "--household", "H1", "--by", "Li")
    asked = await scorer_command(database_url, "rebuild", "--all", "--by", "Li")
    assert asked.output.startswith("asked for: 2 household(s)") and "of 1 more that was asked before" in asked.output
    await after.use_idle_time()
    assert [(household_id, kind) for household_id, _, _, kind in await told(engine)] == [("H1", "replay")]
    assert await household(engine, "RICH") == untouched
    assert [after.count("refolds_total", outcome=outcome) for outcome in ("changed", "same")] == [2, 2]
    assert await refold(after.store, ["H1", "H2", "RICH"], after.policies) == []
    assert (await scorer_command(database_url, "rebuild", "--household", "nobody", "--by", "Li")).exit_code == 1


async def test_a_household_that_a_rebuild_cannot_fold_keeps_its_good_state(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = ScorerUnderTest(engine)
    await scorer.take(enrolment(), make_message("edu.cost", data={"self_pay_yuan": 6000}, id="bad"))
    good = await household(engine)
    unfoldable(monkeypatch, "bad")
    await scorer_command(database_url, "rebuild", "--all", "--by", "Li")
    await scorer.use_idle_time()
    assert await household(engine) == good
    assert await refold(scorer.store, ["H1"], scorer.policies) == [Difference("H1", "unfoldable")]


async def test_a_requests_household_is_rebuilt_only_by_the_owner_of_its_partition(
    engine: AsyncEngine, database_url: str
) -> None:
    scorer = ScorerUnderTest(engine)
    await scorer.take(enrolment())
    await rows(engine, "UPDATE household_state SET topic_partition = 7 RETURNING 1")
    await scorer_command(database_url, "rebuild", "--all", "--by", "Li")
    await scorer.use_idle_time()
    assert len(await rows(engine, "SELECT 1 FROM refold_request")) == 1


async def test_verify_finds_nothing_in_what_the_scorer_wrote_and_whatever_somebody_changed(
    engine: AsyncEngine, database_url: str
) -> None:
    scorer = ScorerUnderTest(engine)
    for number in range(6):
        await scorer.take(
            enrolment(f"H{number}"),
            make_message("work.job_loss", f"H{number}", {"monthly_loss_yuan": 500 * number}, id=f"j{number}"),
            make_message("event.refuted", f"H{number}", {"ref": f"j{number}"}, sourceclass=SourceClass.CADRE),
            make_message("registry.moved", f"H{number}", {"division": "990100101202"}),
        )
    forecast = make_message("hazard.forecast", "990100101201", {"stage": "action", "hazard": "flood"})
    await scorer.take(make_message("edu.cost", "WAITS", {"self_pay_yuan": 1}), forecast, b"rubbish", forecast)
    scorer.clock.move(timedelta(days=70))
    await scorer.use_idle_time()

    clean = await scorer_command(database_url, "verify", "--all")
    assert clean.exit_code == 0
    assert clean.output == "households: 8 folded anew, 0 differ; partitions: 1 added up, 0 do not balance\n"

    for damage in (
        "UPDATE event_ledger SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '40000', '30000'), 'UTF8')"
        " WHERE household_id = 'H1'",
        "UPDATE household_state SET body = convert_to('[999]', 'UTF8') WHERE household_id = 'H2'",
        "UPDATE household_state SET grade = 3 WHERE household_id = 'H3'",
        "DELETE FROM event_ledger WHERE household_id = 'H4' AND household_seq = 2",
        "UPDATE partition_position SET applied = applied - 1",
    ):
        await rows(engine, f"{damage} RETURNING 1")
    found = await scorer_command(database_url, "verify", "--sample", "100", "--json")
    assert found.exit_code == 1
    report = json.loads(found.stdout)
    assert {one["household_id"]: one["kind"] for one in report["differences"]} == {
        "H1": "state",
        "H2": "format",
        "H3": "columns",
        "H4": "numbering",
    }
    assert [(one["partition"], one["applied"]) for one in report["unbalanced"]] == [(3, 25)]
