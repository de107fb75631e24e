"""The directory: divisions and staff."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.routing import StaffMember
from services.notifier.store.rows import Register, StaffRow
from shared.alerts import ChannelName
from shared.db.access_keys import audit
from shared.db.session import transaction
from shared.db.tables.notifier import division, session, staff

_STAFF = [staff.c[one.name] for one in fields(StaffRow)]


async def read_register(connection: AsyncConnection, divisions: Collection[str]) -> Register:
    """Return the names of those divisions that are known, and the people in active service there."""
    names = await connection.execute(select(division.c.code, division.c.name).where(division.c.code.in_(divisions)))
    people = await connection.execute(
        select(*_STAFF).where(staff.c.division.in_(divisions), staff.c.active).order_by(staff.c.staff_id)
    )
    rows = [staff_row(row) for row in people]
    return Register(
        names={row.code: row.name for row in names},
        staff=tuple(StaffMember(row.staff_id, row.role, row.division, channels_of(row)) for row in rows),
        targets={(row.staff_id, channel): target_of(row, channel) for row in rows for channel in channels_of(row)},
    )


def channels_of(row: StaffRow) -> tuple[ChannelName, ...]:
    """Return the channels by which a person can be told now."""
    found = []
    if row.email:
        found.append(ChannelName.SMTP)
    if row.webhook_url and row.webhook_secret and row.webhook_disabled_at is None:
        found.append(ChannelName.WEBHOOK)
    return tuple(found)


def target_of(row: StaffRow, channel: ChannelName) -> str:
    """Name what is slow or fast as one: the relay for mail, the host for a webhook."""
    if channel is ChannelName.SMTP:
        return "smtp"
    return f"webhook:{urlsplit(row.webhook_url or '').netloc}"


def staff_row(row: Row[Any]) -> StaffRow:
    """Build a person from a row that holds the columns."""
    return StaffRow(**{one.name: row._mapping[one.name] for one in fields(StaffRow)})


class Directory:
    """Reads and changes the directory."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, staff_id: str) -> StaffRow | None:
        """Return one person, also one who is not active."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(*_STAFF).where(staff.c.staff_id == staff_id))).one_or_none()
        return None if row is None else staff_row(row)

    async def known_divisions(self) -> frozenset[str]:
        """Return the codes of all divisions."""
        async with transaction(self._engine) as connection:
            return frozenset((await connection.execute(select(division.c.code))).scalars())

    async def save_divisions(self, names: Mapping[str, str]) -> None:
        """Add or rename divisions, all or none."""
        statement = upsert(division)
        statement = statement.on_conflict_do_update(
            index_elements=[division.c.code], set_={"name": statement.excluded.name}
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement, [{"code": code, "name": name} for code, name in names.items()])
            await audit(connection, "command", "divisions.imported", "division", {"rows": len(names)})

    async def save_staff(self, people: Sequence[StaffRow]) -> None:
        """Add or change people by staff_id, all or none; passwords stay. A webhook that had gone is tried again."""
        statement = upsert(staff)
        kept = {"staff_id", "password_hash"}
        changed = {one.name: statement.excluded[one.name] for one in fields(StaffRow) if one.name not in kept}
        statement = statement.on_conflict_do_update(
            index_elements=[staff.c.staff_id], set_={**changed, "updated_at": func.now()}
        )
        rows = [{one.name: getattr(person, one.name) for one in fields(StaffRow)} for person in people]
        async with transaction(self._engine) as connection:
            await connection.execute(statement, rows)
            await audit(connection, "command", "staff.imported", "staff", {"rows": len(rows)})

    async def set_password(self, staff_id: str, password_hash: str) -> bool:
        """Store a password's hash and end the person's sessions. False if there is no such person."""
        async with transaction(self._engine) as connection:
            changed = await connection.execute(
                update(staff).where(staff.c.staff_id == staff_id).values(password_hash=password_hash)
            )
            await connection.execute(delete(session).where(session.c.staff_id == staff_id))
            if changed.rowcount:
                await audit(connection, "command", "staff.password_set", staff_id, {})
        return bool(changed.rowcount)


class Sessions:
    """Console sessions, found by the hash of their token."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, token_sha256: bytes, staff_id: str, csrf: str, now: datetime, expires_at: datetime) -> None:
        """Store a new session, and forget those that have expired."""
        async with transaction(self._engine) as connection:
            await connection.execute(delete(session).where(session.c.expires_at < now))
            await connection.execute(
                insert(session).values(
                    token_sha256=token_sha256,
                    staff_id=staff_id,
                    csrf=csrf,
                    created_at=now,
                    last_seen_at=now,
                    expires_at=expires_at,
                )
            )
            await audit(connection, staff_id, "session.begun", staff_id, {})

    async def seen(self, token_sha256: bytes, now: datetime, idle_since: datetime) -> tuple[StaffRow, str] | None:
        """Return the session's person and CSRF token and note the visit; None if it has ended or they have left."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                update(session)
                .where(
                    session.c.token_sha256 == token_sha256,
                    session.c.expires_at > now,
                    session.c.last_seen_at >= idle_since,
                    session.c.staff_id == staff.c.staff_id,
                    staff.c.active,
                )
                .values(last_seen_at=now)
                .returning(*_STAFF, session.c.csrf)
            )
            row = found.one_or_none()
        return None if row is None else (staff_row(row), row.csrf)

    async def end(self, token_sha256: bytes) -> None:
        """Forget a session."""
        async with transaction(self._engine) as connection:
            await connection.execute(delete(session).where(session.c.token_sha256 == token_sha256))
