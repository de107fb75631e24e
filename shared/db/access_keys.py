"""Access keys and their audit: every change of a key goes through here and leaves an entry."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.access import AccessKey, Scopes, hash_secret, make_secret
from shared.db.session import transaction
from shared.db.tables.common import access_key, audit_entry


async def audit(
    connection: AsyncConnection, actor: str, action: str, subject: str, facts: Mapping[str, object]
) -> None:
    """Append one entry to the audit log, in the caller's transaction. No personal data in `facts`."""
    await connection.execute(insert(audit_entry).values(actor=actor, action=action, object=subject, facts=dict(facts)))


class AccessKeys:
    """The keys in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, name: str, scopes: Scopes, *, expires_at: datetime | None = None, actor: str) -> str:
        """Make a key and return it, the only time it can be seen."""
        key_id, secret = make_secret()
        stored_scopes = scopes.model_dump(mode="json")
        async with transaction(self._engine) as connection:
            await connection.execute(
                insert(access_key).values(
                    key_id=key_id,
                    secret_sha256=hash_secret(secret),
                    name=name,
                    scopes=stored_scopes,
                    expires_at=expires_at,
                )
            )
            await audit(connection, actor, "access_key.created", key_id, {"scopes": stored_scopes})
        return f"{key_id}.{secret}"

    async def revoke(self, key_id: str, now: datetime, *, actor: str) -> bool:
        """Revoke a key; every service stops taking it within seconds. False if there is no such key in force."""
        async with transaction(self._engine) as connection:
            ended = await connection.execute(
                update(access_key)
                .where(access_key.c.key_id == key_id, access_key.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            if ended.rowcount:
                await audit(connection, actor, "access_key.revoked", key_id, {})
        return bool(ended.rowcount)

    async def access_keys(self) -> Mapping[str, AccessKey]:
        """Return every key by its id. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            rows = await connection.execute(select(access_key).order_by(access_key.c.created_at))
            found = [AccessKey.model_validate(dict(row)) for row in rows.mappings()]
        return {key.key_id: key for key in found}
