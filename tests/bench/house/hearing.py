"""What journals of receivers say of who heard what when."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from tests.bench.house.receiver import Received


def first_heard(messages: Iterable[Received]) -> Mapping[str, float]:
    """When each alert was first named to anybody, by its id."""
    first: dict[str, float] = {}
    for one in messages:
        for alert in one.said.alerts:
            if alert.alert_id is not None and one.at < first.get(alert.alert_id, float("inf")):
                first[alert.alert_id] = one.at
    return first


def most_to_one_person(messages: Iterable[Received], within_seconds: float) -> int:
    """The most messages, over all channels, that one person got in any stretch of time; a repeat is no new message."""
    times: dict[str, dict[str, float]] = {}
    for one in messages:
        of_person = times.setdefault(one.staff, {})
        of_person[one.message_id] = min(one.at, of_person.get(one.message_id, one.at))
    return max((_most_within(sorted(one.values()), within_seconds) for one in times.values()), default=0)


def _most_within(times: Sequence[float], seconds: float) -> int:
    return max(place + 1 - bisect_left(times, at - seconds) for place, at in enumerate(times))
