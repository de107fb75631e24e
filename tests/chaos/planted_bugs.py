"""Twenty mistakes that engineers make in systems like this one, and by what the judge must know each of them.

`PLANTED_BUGS` is what the launcher asks for: name -> function that patches the service before it starts. The self-test
runs each under the fault that brings it out and expects one of its anomalies in the verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.checker.verdict import Anomaly
from tests.chaos.planted import ingest, notifier, scorer
from tests.chaos.planted.memory import grows_at_a_switch
from tests.chaos.planted.resolver import resolver_at_a_switch

QUIET = "quiet"
"""No fault: the bug shows under the load alone."""


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One bug. shows_under: codes of faults, joined by + where it takes two at once, or QUIET. anomalies: any of them
    convicts it."""

    plant: Callable[[], None]
    service: Literal["ingest", "scorer", "notifier"]
    shows_under: str
    anomalies: frozenset[Anomaly]

    @property
    def name(self) -> str:
        """As it is called on the command line."""
        return self.plant.__name__

    @property
    def story(self) -> str:
        """What somebody thought, in one sentence."""
        return (self.plant.__doc__ or "").strip().splitlines()[0]


def _bug(plant: Callable[[], None], shows_under: str, *anomalies: Anomaly) -> PlantedBug:
    service = plant.__module__.rpartition(".")[2]
    assert service in ("ingest", "scorer", "notifier")
    return PlantedBug(plant, service, shows_under, frozenset(anomalies))  # type: ignore[arg-type]


BUGS: Sequence[PlantedBug] = (
    _bug(ingest.one_broker_is_enough, "F24", "false_ack", "lost"),
    _bug(ingest.answer_before_the_log, "F23", "false_ack", "lost"),
    _bug(ingest.publish_before_checking, QUIET, "phantom"),
    _bug(ingest.requests_are_kept, QUIET, "over_cap"),
    _bug(scorer.position_before_apply, "F40", "lost"),
    _bug(scorer.no_dedup, QUIET, "doubled"),
    _bug(scorer.dedup_in_memory, "F13", "misordered", "misgraded"),
    _bug(scorer.messages_outside_the_transaction, "F7", "silent"),
    _bug(scorer.no_fencing, "F14", "stale_owner"),
    _bug(scorer.past_is_not_folded_again, "F65", "misgraded"),
    _bug(scorer.poison_is_dropped, "F66", "lost"),
    _bug(scorer.batch_reversed, "F36", "misordered"),
    _bug(scorer.money_as_float, "F65", "misgraded"),
    _bug(scorer.outbox_emptied_first, "F46+F7", "silent"),
    _bug(scorer.repeats_by_their_bytes, "F63", "unexplained"),
    _bug(notifier.gives_up_after_three, "F57", "silent"),
    _bug(notifier.new_id_for_each_attempt, QUIET, "unsolicited"),
    _bug(notifier.two_open_alerts, QUIET, "doubled"),
    _bug(notifier.told_in_the_next_village, QUIET, "unsolicited"),
    # Last, because what it does stays in the services' logs.
    _bug(ingest.refusals_are_logged_whole, QUIET, "dishonest"),
)

PLANTED_BUGS: Mapping[str, Callable[[], None]] = {
    **{bug.name: bug.plant for bug in BUGS},
    resolver_at_a_switch.__name__: resolver_at_a_switch,
    grows_at_a_switch.__name__: grows_at_a_switch,
}
"""For the launcher; with them, what some faults put in place in the same way."""
