"""Answer "who was told of this alert, by which way, and what became of it"."""

from collections.abc import Iterator

from services.notifier.store.deliveries import Deliveries
from services.notifier.store.reading import AlertReader
from shared.alerts import AlertDetail
from shared.clock import to_rfc3339


async def explain(alerts: AlertReader, deliveries: Deliveries, alert_id: str) -> list[str] | None:
    """Return the lines to print; None if there is no such alert."""
    alert = await alerts.one("", alert_id)
    if alert is None:
        return None
    attempts = await deliveries.attempts_of(alert_id)
    return [*_head(alert), *_steps(alert), *_people(alert, attempts)]


def _head(alert: AlertDetail) -> Iterator[str]:
    yield f"alert {alert.id}: household {alert.household_id}, division {alert.division}"
    yield f"  {alert.grade}, {alert.status}, opened {to_rfc3339(alert.opened_at)}, owner {alert.owner or 'nobody'}"
    if alert.unreachable:
        yield "  UNREACHABLE: nobody could be found to tell"


def _steps(alert: AlertDetail) -> Iterator[str]:
    yield "timeline:"
    for step in alert.timeline:
        grades = f" {step.old_grade or '-'} -> {step.new_grade}" if step.new_grade else ""
        yield f"  {to_rfc3339(step.at)} {step.kind}{grades} by {step.actor} [{step.reason or '-'}]"


def _people(alert: AlertDetail, attempts: dict[tuple[int, str, str], list[str]]) -> Iterator[str]:
    yield "told:" if alert.deliveries else "told: nobody"
    for line in alert.deliveries:
        became = line.receipt or line.detail or "not tried yet"
        yield (
            f"  revision {line.revision} ({line.reason}) {line.recipient} by {line.channel}, "
            f"routed as {line.routed_as}: {line.status} after {line.attempts} attempts, {became}"
        )
        for attempt in attempts.get((line.revision, line.recipient, line.channel), []):
            yield f"    {attempt}"
