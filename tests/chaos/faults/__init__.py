"""Every fault that the campaign can inject, and those that it cannot, each with its reason.

The codes are explained in docs/fault-report.md.
"""

from collections.abc import Mapping

from tests.chaos.base import Fault
from tests.chaos.faults import (
    backup,
    channels,
    clock,
    database,
    groups,
    input,
    log,
    machine,
    network,
    pairs,
    processes,
    takeover,
    zombies,
)

_MODULES = (processes, zombies, log, groups, database, backup, network, channels, input, machine, clock)


def _number(code: str) -> tuple[str, int]:
    return code[0], int(code[1:])


_SINGLES: Mapping[str, Fault] = {
    fault.code: fault
    for fault in sorted((fault for module in _MODULES for fault in module.FAULTS), key=lambda one: _number(one.code))
}
FAULTS: Mapping[str, Fault] = {
    **_SINGLES,
    "F80": pairs.random_pair(_SINGLES),
    **{fault.code: fault for fault in takeover.FAULTS},
}
"""By code, in the order of the codes. T: losses of which the promise is a time."""

NOT_INJECTED: Mapping[str, str] = dict(
    sorted((one for module in _MODULES for one in module.NOT_INJECTED.items()), key=lambda one: _number(one[0]))
)
"""Code -> reason."""
