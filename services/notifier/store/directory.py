"""The directory: divisions and staff."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.channel_order import told_at_once
from services.notifier.core.routing import StaffMember
from services.notifier.store.rows import Contact, Register, StaffRow
from shared.alerts import ChannelName
from shared.db.access_keys import audit
from shared.db.one_of import one_of
from shared.db.session import transaction
from shared.db.tables.notifier import contact, division, session, staff

MAIL_RELAY = "smtp"
"""Target of all mail."""
_STAFF_FIELDS = [one.name for one in fields(StaffRow) if one.name != "contacts"]
_STAFF = [staff.c[name] for name in _STAFF_FIELDS]


async def read_register(connection: AsyncConnection, divisions: Collection[str]) -> Register:
    """Return the names of those divisions that are known, and the people in active service there."""
    names = await connection.execute(select(division.c.code, division.c.name).where(one_of(division.c.code, divisions)))
    people = await connection.execute(
        select(*_STAFF).where(one_of(staff.c.division, divisions), staff.c.active).order_by(staff.c.staff_id)
    )
    rows = await _with_contacts(connection, [staff_row(row) for row in people])
    return Register(
        names={row.code: row.name for row in names},
        staff=tuple(StaffMember(row.staff_id, row.role, row.division, channels_of(row)) for row in rows),
        targets={(row.staff_id, one.channel): target_of(one) for row in rows for one in row.contacts},
    )


async def read_contacts(connection: AsyncConnection, staff_ids: Collection[str]) -> dict[str, tuple[Contact, ...]]:
    """Return the contacts of people, disabled ones too, each person's in their own order."""
    found = await connection.execute(
        select(contact).where(one_of(contact.c.staff_id, staff_ids)).order_by(contact.c.staff_id, contact.c.place)
    )
    contacts: dict[str, tuple[Contact, ...]] = {}
    for row in found:
        one = Contact(ChannelName(row.channel), row.address, row.secret, row.disabled_at)
        contacts[row.staff_id] = (*contacts.get(row.staff_id, ()), one)
    return contacts


async def _with_contacts(connection: AsyncConnection, people: Sequence[StaffRow]) -> list[StaffRow]:
    contacts = await read_contacts(connection, [person.staff_id for person in people])
    return [replace(person, contacts=contacts.get(person.staff_id, ())) for person in people]


def channels_of(row: StaffRow) -> tuple[ChannelName, ...]:
    """Return the channels by which a person is told at once."""
    return told_at_once([one.channel for one in row.contacts if one.disabled_at is None])


def target_of(contact: Contact) -> str:
    """Name what is slow or fast as one: the relay for mail, the host for a webhook, else the one receiver.

    A robot's token lets anybody write to its group, and a phone number belongs to its owner: neither is named.
    """
    match contact.channel:
        case ChannelName.SMTP:
            return MAIL_RELAY
        case ChannelName.WEBHOOK:
            return f"webhook:{urlsplit(contact.address).netloc}"
        case channel:
            return f"{channel}:{hashlib.blake2b(contact.address.encode(), digest_size=8).hexdigest()}"


def staff_row(row: Row[Any]) -> StaffRow:
    """Build a person, without contacts, from a row that holds the columns."""
    return StaffRow(**{name: row._mapping[name] for name in _STAFF_FIELDS})


class Directory:
    """Reads and changes the directory."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, staff_id: str) -> StaffRow | None:
        """Return one person with their contacts, also one who is not active."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(*_STAFF).where(staff.c.staff_id == staff_id))).one_or_none()
            if row is None:
                return None
            (person,) = await _with_contacts(connection, [staff_row(row)])
        return person

    async def people_by_channel(self, channels: Collection[ChannelName]) -> dict[ChannelName, int]:
        """Count the people in service who have one of these channels, by channel. Raises TemporaryFailure."""
        statement = (
            select(contact.c.channel, func.count())
            .join(staff, staff.c.staff_id == contact.c.staff_id)
            .where(contact.c.channel.in_(channels), contact.c.disabled_at.is_(None), staff.c.active)
            .group_by(contact.c.channel)
            .order_by(contact.c.channel)
        )
        async with transaction(self._engine) as connection:
            return {ChannelName(channel): people for channel, people in await connection.execute(statement)}

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
        """Add or change people by staff_id, all or none; passwords stay.

        Their contacts are those of the list and no others; one that had gone is tried again.
        """
        statement = upsert(staff)
        kept = {"staff_id", "password_hash"}
        changed = {name: statement.excluded[name] for name in _STAFF_FIELDS if name not in kept}
        statement = statement.on_conflict_do_update(
            index_elements=[staff.c.staff_id], set_={**changed, "updated_at": func.now()}
        )
        rows = [{name: getattr(person, name) for name in _STAFF_FIELDS} for person in people]
        contacts = [row for person in people for row in _contact_rows(person)]
        async with transaction(self._engine) as connection:
            await connection.execute(statement, rows)
            await connection.execute(delete(contact).where(contact.c.staff_id.in_([one.staff_id for one in people])))
            if contacts:
                await connection.execute(insert(contact), contacts)
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


def _contact_rows(person: StaffRow) -> list[dict[str, Any]]:
    return [
        {
            "staff_id": person.staff_id,
            "channel": one.channel,
            "address": one.address,
            "secret": one.secret,
            "place": place,
            "disabled_at": one.disabled_at,
        }
        for place, one in enumerate(person.contacts)
    ]


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
