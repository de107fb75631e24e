"""People, their acts, and what they were told: for tests of alerts that climb."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text

from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery
from tests.fakes.notifier import COUNTY, OTHER_VILLAGE, PROVINCE, TOWNSHIP, Parts, make_person

NIGHT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
"""Half past eleven at night in the field."""
HOUR = timedelta(hours=1)
STAFF = (
    make_person("cadre"),
    make_person("grid", "grid"),
    make_person("team", "village_team"),
    make_person("town", "township", TOWNSHIP),
    make_person("county", "county", COUNTY),
    make_person("duty", "duty_officer", PROVINCE),
    make_person("elsewhere", "cadre", OTHER_VILLAGE),
)
ALL = ("cadre", "county", "grid", "team", "town")
FIRST_FOUR = ("cadre", "grid", "team", "town")

ACTS = {
    "acknowledge": "status = 'acknowledged', owner = :who, acknowledged_at = :now, acknowledged_revision = revision",
    "visit": "status = 'visited', visited_at = :now",
    "resolve": "status = 'resolved', closed_at = :now",
}


async def act(parts: Parts, household: str, what: str, who: str | None = None) -> None:
    """Let somebody do something with a household's alert."""
    async with transaction(parts.engine) as connection:
        await connection.execute(
            text(f"UPDATE alert SET {ACTS[what]} WHERE household_id = :household"),
            {"household": household, "now": parts.clock.now()} | ({"who": who} if who else {}),
        )


async def told(parts: Parts) -> list[tuple[float, str, str, tuple[str, ...]]]:
    """What was told when, of whom, why, to whom, as the database has it."""
    statement = (
        select(alert.c.household_id, delivery.c.created_at, delivery.c.revision, delivery.c.reason, delivery.c.staff_id)
        .join(alert, alert.c.alert_id == delivery.c.alert_id)
        .order_by(delivery.c.created_at, alert.c.household_id, delivery.c.revision, delivery.c.staff_id)
    )
    lines: dict[tuple[float, str, int, str], list[str]] = {}
    async with transaction(parts.engine) as connection:
        for row in await connection.execute(statement):
            key = ((row.created_at - NIGHT) / HOUR, row.household_id, row.revision, row.reason)
            lines.setdefault(key, []).append(row.staff_id)
    return sorted((hour, household, reason, tuple(people)) for (hour, household, _, reason), people in lines.items())
