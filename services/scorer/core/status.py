"""Status: whether a household is monitored, since when, and whether its return to poverty is confirmed."""

from __future__ import annotations

from typing import NamedTuple

from shared.events.effects import Mark

MARKS = (Mark.MONITORED, Mark.RISK_ELIMINATED, Mark.RETURN_CONFIRMED, Mark.LIFTED_AGAIN)
_MONITORED, _RISK_ELIMINATED, _RETURN_CONFIRMED, _LIFTED_AGAIN = range(4)


class Status(NamedTuple):
    """monitored_since: day (ordinal) on which the present spell of monitoring began; eliminated: its risk once was."""

    monitored: bool
    monitored_since: int | None
    return_confirmed: bool
    eliminated_on: int | None = None


def after(status: Status, mark: int, day: int) -> Status:
    """Take a status event that occurred on `day`; a second `monitored` in one spell does not restart it."""
    if mark == _MONITORED:
        return status if status.monitored else status._replace(monitored=True, monitored_since=day, eliminated_on=None)
    if mark == _RISK_ELIMINATED:
        return status._replace(monitored=False, monitored_since=None, eliminated_on=day)
    return status._replace(return_confirmed=mark == _RETURN_CONFIRMED)
