"""What the checker says in the end, and what it collects on the way there."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

Anomaly = Literal[
    "lost",
    "doubled",
    "phantom",
    "misgraded",
    "misordered",
    "silent",
    "unsolicited",
    "stale_owner",
    "unready",
    "false_ack",
    "over_cap",
    "dishonest",
    "unexplained",
]
ANOMALIES: tuple[Anomaly, ...] = get_args(Anomaly)
MOST_PROOFS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """valid: nothing was found. counts: of every anomaly, also those not found.

    proofs: of each anomaly found, its smallest ids (events, households, alerts, messages, positions: whatever proves
    it); why: one sentence for each of them, in the same order. figures: what was measured on the way.
    """

    valid: bool
    counts: dict[str, int]
    proofs: dict[str, list[str]]
    why: dict[str, list[str]]
    figures: dict[str, Any]

    def to_json(self) -> str:
        """Write the verdict for people and for later."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(slots=True)
class Findings:
    """Collects what is found. An id is convicted of an anomaly once; the first reason stays."""

    found: dict[Anomaly, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    figures: dict[str, Any] = field(default_factory=dict)

    def convict(self, anomaly: Anomaly, proof: str, why: str) -> None:
        """Note one case of an anomaly. proof: the id that shows it."""
        self.found[anomaly].setdefault(proof, why)

    def verdict(self) -> Verdict:
        """Sum up."""
        smallest: dict[str, list[str]] = {
            anomaly: sorted(cases)[:MOST_PROOFS] for anomaly, cases in self.found.items() if cases
        }
        return Verdict(
            valid=not smallest,
            counts={anomaly: len(self.found.get(anomaly, ())) for anomaly in ANOMALIES},
            proofs=smallest,
            why={anomaly: [cases[one] for one in smallest[anomaly]] for anomaly, cases in self.found.items() if cases},
            figures=self.figures,
        )
