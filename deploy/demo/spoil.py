"""Ways in which real feeds get an event wrong; each must be refused at the edge."""

from collections.abc import Callable, Sequence
from random import Random

CloudEvent = dict[str, object]


def _without_subject(event: CloudEvent) -> CloudEvent:
    return {key: value for key, value in event.items() if key != "subject"}


def _short_division(event: CloudEvent) -> CloudEvent:
    return event | {"division": str(event["division"])[:6]}


def _unknown_type(event: CloudEvent) -> CloudEvent:
    return event | {"type": "cn.shouwang.health.unheard_of.v1"}


def _day_without_time(event: CloudEvent) -> CloudEvent:
    return event | {"time": str(event["time"])[:10]}


def _amount_with_a_fraction(event: CloudEvent) -> CloudEvent:
    return event | {"type": "cn.shouwang.health.hospitalisation.v1", "data": {"self_pay_yuan": 1234.5}}


def _negative_amount(event: CloudEvent) -> CloudEvent:
    return event | {"type": "cn.shouwang.health.hospitalisation.v1", "data": {"self_pay_yuan": -300}}


def _unknown_field(event: CloudEvent) -> CloudEvent:
    return event | {"type": "cn.shouwang.housing.repaired.v1", "data": {"remark": "see paper file"}}


WAYS: Sequence[Callable[[CloudEvent], CloudEvent]] = (
    _without_subject,
    _short_division,
    _unknown_type,
    _day_without_time,
    _amount_with_a_fraction,
    _negative_amount,
    _unknown_field,
)


def spoil(chance: Random, event: CloudEvent) -> CloudEvent:
    """The event with one fault."""
    return chance.choice(WAYS)(event)
