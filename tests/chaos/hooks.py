"""What can be made to happen inside a service that knows nothing of it.

A hook is a value; `write_hooks` puts several into the environment of a child, launcher.py reads them there and
`install.install(service, hooks)` wraps the named functions of the service before it starts. Each hook that goes off
first leaves a mark, one line in the file named by SHOUWANG_CHAOS_MARKS:

    Crash, Raise      the point, such as `scorer.before_commit`
    DatabaseErrors    `sqlstate 40P01`
    BlockLoop         `blocked 15.0`
    Planted           `planted <bug>`, once, when the bug is in place
    Clock             `clock 3600 1.1`, whenever it takes up new contents of the file
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

HOOKS_VARIABLE = "SHOUWANG_CHAOS_HOOKS"
MARKS_VARIABLE = "SHOUWANG_CHAOS_MARKS"

POINTS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("ingest.before_send", "ingest.after_ack", "ingest.batch_item"),
    "scorer": (
        "scorer.after_fetch",
        "scorer.before_statement",
        "scorer.before_commit",
        "scorer.after_commit",
        "scorer.on_assigned",
        "relay.before_remove",
    ),
    "notifier": (
        "notifier.in_transaction",
        "notifier.after_commit",
        "notifier.after_claim",
        "notifier.after_send",
    ),
}


@dataclass(frozen=True, slots=True)
class Crash:
    """The process kills itself (SIGKILL) at the nth passing of a point."""

    point: str
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Raise:
    """A RuntimeError comes up at the nth passing of a point."""

    point: str
    nth: int = 1


@dataclass(frozen=True, slots=True)
class DatabaseErrors:
    """Each k-th statement ends with this SQLSTATE, raised by the server itself."""

    sqlstate: str
    every: int


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug of `tests.chaos.planted_bugs.PLANTED_BUGS` (name -> function without arguments that patches)."""

    bug: str


@dataclass(frozen=True, slots=True)
class Clock:
    """The service's clock is off by the seconds in a file; a second number makes it run that many times as fast.

    The file may be absent at first, and change or vanish while the service runs.
    """

    file: str


@dataclass(frozen=True, slots=True)
class BlockLoop:
    """When the file appears with a number in it, the event loop stands still for so many seconds, once."""

    file: str


Hook = Crash | Raise | DatabaseErrors | Planted | Clock | BlockLoop
_KINDS: Mapping[str, type[Hook]] = {
    kind.__name__: kind for kind in (Crash, Raise, DatabaseErrors, Planted, Clock, BlockLoop)
}


def write_hooks(hooks: Sequence[Hook]) -> str:
    """Write hooks as JSON. Raises ValueError for a point that no service has."""
    for hook in hooks:
        if isinstance(hook, Crash | Raise) and not any(hook.point in points for points in POINTS.values()):
            raise ValueError(f"no service has a point {hook.point}")
    return json.dumps([{"kind": type(hook).__name__, **asdict(hook)} for hook in hooks])


def read_hooks(text: str) -> list[Hook]:
    """Read what `write_hooks` wrote."""
    return [_KINDS[written.pop("kind")](**written) for written in json.loads(text)]


def ends_with_process(hook: Hook) -> bool:
    """Whether a hook is spent with the process it was given to; the keeper's restart leaves it out."""
    return isinstance(hook, Crash | Raise)
