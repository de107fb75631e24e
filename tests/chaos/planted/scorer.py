"""Planted bugs of the scorer and of the log and database parts that it shares."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from services.scorer import apply_outcomes, outbox_relay, read_record, score_event
from services.scorer.core.folding import Folding
from services.scorer.outbox_relay import OutboxRelay
from services.scorer.outcome import Outcome
from services.scorer.score_event import ScoreEvents
from services.scorer.store import LedgerRow, ScorerTransaction, StateRow, scoring
from shared.bus.ports import PartitionBatch
from shared.codec import encode_json
from shared.db import outbox, positions
from shared.db.outbox import Message, Outbox
from shared.db.positions import Fates
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.events import amounts
from tests.chaos.planted.patching import nothing, swap

LOST_LEDGER_ROW = 200
STALE_STATE = 10
SLOW_FLUSH_SECONDS = 2.0


def position_before_apply() -> None:
    """The position is committed by itself, before the batch is applied."""

    def early(handle: Callable[..., Awaitable[None]]) -> Any:
        async def commit_then_apply(self: ScoreEvents, batch: PartitionBatch) -> None:
            async with self._store.transaction(batch.partition) as tx:
                await tx._positions.advance(tx._connection, batch, Fates(applied=len(batch.records)))
            await handle(self, batch)

        return commit_then_apply

    swap(ScoreEvents, "handle", early)
    swap(ScorerTransaction, "advance", lambda _: nothing)


def no_dedup() -> None:
    """Each record counts as an event of its own, whatever its source and id say."""
    swap(read_record, "event_identity", lambda _: lambda source, event_id: os.urandom(16))


def dedup_in_memory() -> None:
    """What was seen is remembered by the process alone; the ledger's own refusal is silenced."""
    seen: dict[bytes, bytes] = {}

    async def known(self: ScorerTransaction, identities: Sequence[bytes]) -> dict[bytes, bytes]:
        return {identity: seen[identity] for identity in identities if identity in seen}

    def remembering(add_ledger: Callable[..., Awaitable[None]]) -> Any:
        async def add(self: ScorerTransaction, rows: Sequence[LedgerRow]) -> None:
            await _add_what_is_new(self, rows)
            seen.update({row.received.identity: row.received.content_hash for row in rows})

        return add

    swap(ScorerTransaction, "known", lambda _: known)
    swap(ScorerTransaction, "add_ledger", remembering)


async def _add_what_is_new(tx: ScorerTransaction, rows: Sequence[LedgerRow]) -> None:
    names = scoring._LEDGER_COLUMNS
    quiet = text(
        f"INSERT INTO event_ledger ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
        " ON CONFLICT DO NOTHING"
    )
    for row in rows:
        values = (*scoring._ledger_values(row), tx._partition.partition)
        await tx._connection.execute(quiet, dict(zip(names, values, strict=True)))


def messages_outside_the_transaction() -> None:
    """Messages wait in memory and are sent every two seconds, to save round trips."""
    waiting: list[Message] = []

    async def add_later(self: ScorerTransaction, messages: Sequence[Message]) -> None:
        waiting.extend(messages)

    async def relay(self: Outbox) -> int:
        messages, waiting[:] = list(waiting), []
        for topic, key, value in messages:
            await self._publisher.publish(outbox._TOPICS[topic], key, value, within_seconds=10.0)
        return 0

    swap(ScorerTransaction, "add_outbox", lambda _: add_later)
    swap(Outbox, "relay", lambda _: relay)
    swap(OutboxRelay, "wake", lambda _: lambda self: None)
    swap(outbox_relay, "LOOK_EVERY_SECONDS", lambda _: SLOW_FLUSH_SECONDS)


def no_fencing() -> None:
    """Whoever writes a position last is its owner; nobody asks whether he still may."""
    unfenced = text(
        """
        UPDATE partition_position SET next_offset = :next_offset, epoch = :epoch, updated_at = now()
        WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition
        """
    )
    swap(positions, "_ADVANCE", lambda _: unfenced)


def past_is_not_folded_again() -> None:
    """Corrections and refutations are taken like any event; the past is never folded anew."""
    swap(Folding, "_needs_replay", lambda _: lambda self, event: False)


def poison_is_dropped() -> None:
    """A record that cannot be read is passed over without a trace."""
    swap(ScorerTransaction, "add_quarantine", lambda _: nothing)


def leaking_ledger() -> None:
    """One row in two hundred does not reach the ledger."""
    rows_so_far = itertools.count(1)

    def leaking(add_ledger: Callable[..., Awaitable[None]]) -> Any:
        async def add(self: ScorerTransaction, rows: Sequence[LedgerRow]) -> None:
            await add_ledger(self, [row for row in rows if next(rows_so_far) % LOST_LEDGER_ROW])

        return add

    swap(ScorerTransaction, "add_ledger", leaking)


def batch_reversed() -> None:
    """A batch is worked off from its end."""

    def backwards(sort: Callable[..., Any]) -> Any:
        def sort_backwards(batch: PartitionBatch, read: Any, known: Mapping[bytes, bytes]) -> Any:
            work = sort(batch, read, known)
            for events in work.fresh.values():
                events.reverse()
            return work

        return sort_backwards

    swap(score_event, "sort_batch", backwards)


def stale_state() -> None:
    """Now and then a changed grade is stored as it was before; the household's counters move on."""
    written: dict[str, StateRow] = {}
    changes = itertools.count(1)

    def forgetful(put_states: Callable[..., Awaitable[None]]) -> Any:
        async def put(self: ScorerTransaction, rows: Sequence[StateRow]) -> None:
            await put_states(self, [_now_and_then_stale(row) for row in rows])

        return put

    def _now_and_then_stale(row: StateRow) -> StateRow:
        before, written[row.household_id] = written.get(row.household_id), row
        if before is None or before.grade == row.grade or next(changes) % STALE_STATE:
            return row
        return replace(row, grade=before.grade, body=before.body)

    swap(ScorerTransaction, "put_states", forgetful)


def money_as_float() -> None:
    """Yuan go through a binary fraction, and what falls off is a fen."""

    def rounded(read: Callable[..., int]) -> Any:
        def as_float(value: object, form: Any) -> int:
            read(value, form)
            return int(float(str(value)) * 100)

        return as_float

    swap(amounts, "_read", rounded)


def outbox_emptied_first() -> None:
    """The relay takes messages away, commits, and publishes afterwards."""

    async def relay(self: Outbox) -> int:
        async with transaction(self._engine) as connection:
            if not (await connection.execute(outbox._TAKE_TURN)).scalar_one():
                return 0
            found = await connection.execute(outbox._OLDEST, {"limit": self._at_once})
            rows = [outbox._Row(*row) for row in found]
            if rows:
                await connection.execute(outbox._REMOVE, {"ids": [row.outbox_id for row in rows]})
        for row in rows:
            await self._publish_lane([row])
        return len(rows)

    swap(Outbox, "relay", lambda _: relay)


def repeats_by_their_bytes() -> None:
    """Repeats are told by the order of the keys as well: another spelling of the same content is a conflict."""

    def as_written(message: Any) -> bytes:
        sent: Mapping[str, Any] = message.model_dump(mode="json", exclude=read_record._SENT_BY_INGEST)
        return read_record._hash(encode_json(sent))

    _read_the_whole_way()
    swap(read_record, "content_hash", lambda _: as_written)


def conflicts_pass_for_repeats() -> None:
    """Who has the same source and id counts as a repeat, whatever he says."""
    _read_the_whole_way()
    swap(read_record, "content_hash", lambda _: lambda message: bytes(16))


def _read_the_whole_way() -> None:
    """No record is read at a glance, so that a bug on the whole way meets each of them."""
    swap(read_record, "read_at_a_glance", lambda _: lambda record, now: None)


def replays_are_not_told() -> None:
    """Only a change that an event brings at once is told; one that a rebuilt history brings is not."""

    def selective(messages: Callable[..., list[Message]]) -> Any:
        def told(outcome: Outcome) -> list[Message]:
            changes = [change for change in outcome.changes if change.trigger.kind != "replay"]
            return messages(replace(outcome, changes=changes))

        return told

    swap(apply_outcomes, "_messages", selective)


def relay_gives_up() -> None:
    """The first failure ends the relay's work; the process looks as well as ever."""

    def faint(run: Callable[..., Awaitable[None]]) -> Any:
        async def run_until_failure(self: OutboxRelay, stop: asyncio.Event) -> None:
            send = self._outbox.relay

            async def send_or_rest() -> int:
                try:
                    return await send()
                except TemporaryFailure:
                    await stop.wait()
                    raise

            swap(self._outbox, "relay", lambda _: send_or_rest)
            await run(self, stop)

        return run_until_failure

    swap(OutboxRelay, "run", faint)
