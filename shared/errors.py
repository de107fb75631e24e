"""The errors of Shouwang, named by what the one who meets them must do.

RiskAlertError
├── InvalidMessage      can never work: put it in quarantine with its reason, go on
├── TemporaryFailure    may work later: hold the partition (or the delivery), back off, try again
│   └── LostOwnership   another process owns this partition now: roll back, stop working on it
├── PartitionHalted     going on would skip or spoil records: stop this partition, call a person, go on with the others
└── RefusedRequest      tell the caller, with a status and a page that says what to fix

Anything else is a bug: it is logged, the process ends with it, and whoever supervises the process starts it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class RiskAlertError(Exception):
    """Root of every error that the services raise on purpose."""


class InvalidMessage(RiskAlertError):
    """A record that can never be applied.

    reason: upper-case code, one of a closed list (it becomes a metric label).
    detail: one sentence for an operator. It must not hold the value that was refused.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TemporaryFailure(RiskAlertError):
    """Kafka, PostgreSQL or a channel cannot serve us now."""


class LostOwnership(TemporaryFailure):
    """The partition's owner in the database is not us any more; nothing of the transaction may stay."""


class PartitionHalted(RiskAlertError):
    """Only a person can tell how to go on with this partition.

    reason: lower-case code, one of `HALT_REASONS` (it becomes a metric label). detail: what was found and what to do.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


HALT_REASONS = ("gap_in_log", "log_ends_early", "too_many_refused")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a request.

    pointer: JSON pointer (RFC 6901) to the place, "" for the whole document.
    code: stable word for programs, such as "required" or "not_an_amount".
    detail: what to do, in a sentence; never the caller's value.
    """

    pointer: str
    code: str
    detail: str


class RefusedRequest(RiskAlertError):
    """An HTTP request that is answered with a problem document (RFC 9457).

    problem: slug of a page in the error catalogue (`shared.http.catalogue`), which also fixes the status.
    retry_after_seconds: sent as Retry-After where the caller may try again.
    """

    def __init__(
        self,
        problem: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds
        self.headers = dict(headers or {})
