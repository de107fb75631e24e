"""What cannot be applied is kept, counted, shown without what it says, and put on the log again at a person's word."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.event_fate import EventFate
from services.ingest.recent_receipts import RecentReceipts
from services.ingest.store import FateStore
from services.scorer import fold_household
from services.scorer.poison_limits import IN_A_ROW
from shared.bus.ports import Record
from shared.errors import PartitionHalted
from shared.events.envelope import EventMessage
from tests.fakes.scorer import MARCH_2, PARTITION, ScorerUnderTest, scorer_command
from tests.messages import enrolment, make_message
from tests.services import rows

pytestmark = pytest.mark.integration
CANARY = "王小明13800138000"
RUBBISH = b'{"no": "event"}'


async def stored(engine: AsyncEngine) -> tuple[int, ...]:
    """(ledger rows, quarantine rows, next offset)."""
    found = await rows(
        engine,
        "SELECT (SELECT count(*) FROM event_ledger), (SELECT count(*) FROM quarantine),"
        " (SELECT next_offset FROM partition_position)",
    )
    return tuple(found[0])


async def reasons(engine: AsyncEngine) -> list[str]:
    return [row.reason for row in await rows(engine, "SELECT reason FROM quarantine ORDER BY topic_offset")]


async def audited(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    found = await rows(engine, "SELECT actor, action, object FROM audit_entry ORDER BY entry_id")
    return [(row.actor, row.action, row.object) for row in found]


def costs(*ids: str) -> list[EventMessage]:
    return [make_message("edu.cost", f"H-{one}", {"self_pay_yuan": 6000}, id=one) for one in ids]


async def test_twenty_refused_records_in_a_row_halt_the_partition_and_nothing_of_them_is_skipped(
    engine: AsyncEngine, database_url: str
) -> None:
    scorer = ScorerUnderTest(engine)
    await scorer.take(enrolment(), *[RUBBISH] * 12)
    for _ in range(2):
        with pytest.raises(PartitionHalted, match=r"20 records in a row, up to offset 20, .* NOT_AN_EVENT 8"):
            await scorer.take(*[RUBBISH] * 8, *costs("c1"))
        assert await stored(engine) == (1, 12, 13)
    with pytest.raises(PartitionHalted, match="allow 3 --until-offset 21"):
        await ScorerUnderTest(engine).take(*[RUBBISH] * 8)

    assert (
        await scorer_command(database_url, "quarantine", "allow", "7", "--until-offset", "9", "--by", "Li")
    ).exit_code == 1
    allowed = await scorer_command(
        database_url, "quarantine", "allow", str(PARTITION), "--until-offset", "21", "--by", "Li"
    )
    assert allowed.output == "allowed below offset 21; the partition stands at 13\n"
    await scorer.take(*[RUBBISH] * 8, *costs("c1"))
    assert await stored(engine) == (2, 20, 22)
    assert await audited(engine) == [("Li", "quarantine.allowed", str(PARTITION))]
    await scorer.take(*[RUBBISH] * (IN_A_ROW - 1))
    with pytest.raises(PartitionHalted):
        await scorer.take(RUBBISH)


async def test_a_share_of_refused_records_halts_also_after_a_restart(engine: AsyncEngine) -> None:
    first = costs("c1")
    batch: list[EventMessage | bytes] = [enrolment(), *first]
    for _ in range(10):
        batch += [*first * 90, RUBBISH]
    await ScorerUnderTest(engine).take(*batch, *first * 90)
    with pytest.raises(PartitionHalted, match="11 of the 1,000 records"):
        await ScorerUnderTest(engine).take(RUBBISH)


async def test_households_that_would_be_parked_count_like_refused_records(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise OverflowError("this release cannot fold anything")

    scorer = ScorerUnderTest(engine)
    monkeypatch.setattr(fold_household, "fold", broken)
    await scorer.take(*[enrolment(f"A{number}") for number in range(IN_A_ROW - 1)])
    with pytest.raises(PartitionHalted, match=r"PARKED 1\)"):
        await scorer.take(enrolment("B"))
    assert await stored(engine) == (IN_A_ROW - 1, 0, IN_A_ROW - 1)
    monkeypatch.undo()
    await scorer.take(enrolment("B"))


async def test_households_that_would_be_parked_by_their_timers_halt_the_partition(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise OverflowError("this release cannot let time pass")

    scorer = ScorerUnderTest(engine)
    for number in range(IN_A_ROW):
        await scorer.take(enrolment(f"A{number}"), make_message("edu.dropout", f"A{number}"))
    scorer.clock.move(timedelta(days=20))
    with monkeypatch.context() as patched:
        patched.setattr(fold_household, "advance", broken)
        with pytest.raises(PartitionHalted, match="as their day comes"):
            await scorer.use_idle_time()
    assert await rows(engine, "SELECT 1 FROM household_state WHERE status = 'parked'") == []
    await scorer.use_idle_time()
    assert scorer.count("grade_changes_total", grade="red") == IN_A_ROW


async def test_a_sender_who_uses_one_id_for_many_contents_cannot_halt_a_partition(engine: AsyncEngine) -> None:
    conflicts = [make_message("edu.cost", data={"self_pay_yuan": 1 + number}, id="c1") for number in range(30)]
    await ScorerUnderTest(engine).take(*conflicts)
    assert await reasons(engine) == ["CONFLICTING_DUPLICATE"] * 29


async def test_a_record_on_a_partition_where_its_household_does_not_belong_is_refused(engine: AsyncEngine) -> None:
    asked: list[str] = []

    def partition_of(household_id: str) -> int:
        asked.append(household_id)
        return 5 if household_id == "STRAY" else PARTITION.partition

    scorer = ScorerUnderTest(engine, partition_of=partition_of)
    stray = make_message("edu.cost", "STRAY", {"self_pay_yuan": 6000}, id="c1")
    await scorer.take(enrolment("H1"), stray, stray, *costs("c1"))
    await scorer.take(make_message("edu.cost", "H1", {"self_pay_yuan": 1}))
    assert asked == ["H1", "STRAY", "H-c1"], "a household that is stored here needs no proof"
    assert await reasons(engine) == ["WRONG_PARTITION", "WRONG_PARTITION"]
    found = await rows(engine, "SELECT household_id FROM event_ledger ORDER BY topic_offset")
    assert [row.household_id for row in found] == ["H1", "H-c1", "H1"]


async def outbox(engine: AsyncEngine) -> list[Record]:
    """Take the messages out of the outbox, as the log would hold them."""
    found = await rows(engine, "DELETE FROM outbox WHERE topic = :topic RETURNING *", topic=PARTITION.topic)
    return [Record(0, row.key.encode(), bytes(row.value), 0) for row in sorted(found, key=lambda row: row.outbox_id)]


async def fate(engine: AsyncEngine, event_id: str) -> str:
    told = await EventFate(FateStore(engine), RecentReceipts(1)).tell("swtest", event_id, None)
    return f"{told.status} {told.reason or told.grade_after}"


async def test_a_record_is_put_on_the_log_again_and_its_sender_hears_what_became_of_it(
    engine: AsyncEngine, database_url: str
) -> None:
    scorer = ScorerUnderTest(engine)
    early = make_message(
        "health.major_illness",
        data={"self_pay_yuan": 60000},
        id="i1",
        at=MARCH_2,
        recorded_at=MARCH_2 + timedelta(days=9),
    )
    await scorer.take(enrolment(), early)
    assert await fate(engine, "i1") == "quarantined NOT_RECEIVED"
    (row,) = await rows(engine, "SELECT quarantine_id FROM quarantine")
    retry = ("quarantine", "retry", str(row.quarantine_id), "--by", "Li")

    assert (await scorer_command(database_url, *retry)).output == "on their way to the log again: 1\n"
    assert await fate(engine, "i1") == "accepted None"
    await scorer.take(*await outbox(engine))
    assert await fate(engine, "i1") == "quarantined NOT_RECEIVED"

    again = await scorer_command(database_url, *retry)
    assert again.exit_code == 1 and "by Li; --again does it anew" in again.output
    assert await outbox(engine) == []
    assert (await scorer_command(database_url, *retry, "--again")).exit_code == 0
    scorer.clock.move(timedelta(days=9))
    await scorer.take(*await outbox(engine))
    assert await fate(engine, "i1") == "applied red"
    assert await audited(engine) == [("Li", "quarantine.retried", str(row.quarantine_id))] * 2


async def test_records_are_put_on_the_log_in_their_order_under_their_households_key_all_or_none(
    engine: AsyncEngine, database_url: str
) -> None:
    scorer, (one, two) = ScorerUnderTest(engine), costs("c1", "c2")
    await scorer.take(
        Record(0, None, one.to_bytes(), 0), Record(0, b"wrong", two.to_bytes(), 0), Record(0, b"k", None, 0)
    )
    assert await reasons(engine) == ["WRONG_KEY", "WRONG_KEY", "EMPTY_RECORD"]
    ids = [str(row.quarantine_id) for row in await rows(engine, "SELECT quarantine_id FROM quarantine ORDER BY 1 DESC")]
    refused = await scorer_command(database_url, "quarantine", "retry", *ids, "4711", "--by", "Li")
    assert refused.exit_code == 1
    assert "holds nothing" in refused.output and "4711: there is no such record" in refused.output
    assert await outbox(engine) == [] and await audited(engine) == []

    assert (await scorer_command(database_url, "quarantine", "retry", *ids[1:], "--by", "Li")).exit_code == 0
    sent = await outbox(engine)
    assert [(record.key, record.value) for record in sent] == [(b"H-c1", one.to_bytes()), (b"H-c2", two.to_bytes())]
    await scorer.take(*sent)
    assert (await stored(engine))[0] == 2


async def test_a_record_is_shown_without_what_it_says_until_somebody_reveals_it_under_his_name(
    engine: AsyncEngine, database_url: str
) -> None:
    event = make_message("edu.cost", data={"self_pay_yuan": 6000}, id="b1")
    bad = event.model_copy(update={"data": {"self_pay_yuan": CANARY, CANARY: "x"}})
    await ScorerUnderTest(engine).take(bad, RUBBISH)

    async def said(*arguments: str) -> str:
        done = await scorer_command(database_url, "quarantine", *arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    listed = [json.loads(line) for line in (await said("list", "--json")).splitlines()]
    assert [(row["reason"], row["event_id"], row["household_id"]) for row in listed] == [
        ("NOT_AN_EVENT", None, None),
        ("INVALID_PAYLOAD", "b1", "H1"),
    ]
    number = str(listed[1]["id"])
    only = await said("list", "--reason", "INVALID_PAYLOAD", "--limit", "1")
    shown = await said("show", number)
    assert only.startswith(f"{number}  ") and "shape:" in shown
    assert not leaks([json.dumps(listed), only, shown, await said("show", number, "--json")])
    assert await audited(engine) == []

    unnamed = await scorer_command(database_url, "quarantine", "show", number, "--reveal")
    assert unnamed.exit_code == 2 and not leaks([unnamed.output])
    assert CANARY in await said("show", number, "--reveal", "--by", "Li")
    assert await audited(engine) == [("Li", "quarantine.revealed", number)]


def leaks(texts: Sequence[str]) -> bool:
    return any("138001" in text or "小明" in text or "\\u5c0f" in text for text in texts)
