"""Where a page of a list ends, as the link to the next page carries it."""

from datetime import UTC, datetime

from services.notifier.console.queries import AlertList, Place
from services.notifier.core.message import is_alert_id


def write_place(found: AlertList) -> str:
    """Name the last line of a page, for the link to the page after it."""
    last = found.rows[-1]
    return f"{int(last.grade)}~{last.opened_at.astimezone(UTC).isoformat()[:-6]}~{last.alert_id}"


def read_place(text: str | None) -> Place | None:
    """Read the place that a link of ours carries; anything else begins at the front."""
    parts = (text or "").split("~")
    if len(parts) != 3 or parts[0] not in "01234" or not is_alert_id(parts[2]):
        return None
    try:
        opened_at = datetime.fromisoformat(parts[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Place(int(parts[0]), opened_at, parts[2]) if parts[0] else None
