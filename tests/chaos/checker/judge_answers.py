"""Were ingest's answers honest, and did nothing leak? (I11, I13, I15)"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from tests.chaos.checker.evidence import DEVICES, Evidence
from tests.chaos.checker.journals import Journals, Line, Send
from tests.chaos.checker.judge_receipts import spread
from tests.chaos.checker.tables import Tables
from tests.chaos.checker.verdict import Findings

PATIENT = frozenset({408, 429, 503})
# What the client writes where an answer was no problem document, or not one of its own request.
NOT_A_PROBLEM = "unreadable-answer"
# What it writes where the answer holds a canary.
ECHO = "echoes-the-caller"


def judge_answers(evidence: Evidence, journals: Journals, findings: Findings) -> None:
    """Judge every answer the client got, and every request that got none."""
    undecided = [send for send in journals.all_sends if send.undecided]
    for send in undecided:
        findings.convict("unready", send.event_id, "nobody ever told what became of it")
    for send in journals.all_sends:
        for line in send.oks:
            if any(begins <= _left(send, line) and line["at"] <= ends for begins, ends in journals.impossible):
                findings.convict("false_ack", send.event_id, "answered 202 while no quorum could have it")
    for send in journals.all_sends:
        for line in (*send.oks, *send.fails, *send.infos):
            if why := _dishonest(evidence, send, line):
                findings.convict("dishonest", send.event_id, why)
    findings.figures |= _figures(evidence, journals, undecided)


def judge_leaks(evidence: Evidence, journals: Journals, tables: Tables, findings: Findings) -> None:
    """Look for the canaries wherever refused or personal words must not be."""
    canaries = [canary.encode() for canary in evidence.canaries]
    for file in evidence.logs:
        text = file.read_bytes() if file.exists() else b""
        for canary in canaries:
            if canary in text:
                findings.convict("dishonest", str(file), f"holds a canary at byte {text.index(canary)}")
    # JSON may write other scripts as escapes, so the devices' lines are looked at as texts.
    for line in journals.devices:
        if _sings(evidence, line):
            proof = str(line.get("message_id") or f"{DEVICES} at {line['at']}")
            findings.convict("unsolicited", proof, "a canary reached a device")
    for message in tables.messages:
        if _sings(evidence, message):
            findings.convict("unsolicited", f"{message.alert_id}/{message.revision}", "holds a canary")
    for digest in tables.digests:
        if _sings(evidence, digest):
            findings.convict("unsolicited", digest.message_id, "holds a canary")
    for name, rows in (("change", tables.transitions), ("alert", tables.alerts), ("step", tables.steps)):
        for row in rows:
            if _sings(evidence, row):
                findings.convict("dishonest", f"{name} {row[0]}", "holds a canary")
    for kept in tables.quarantine:
        if _sings(evidence, kept.detail):
            findings.convict("dishonest", f"quarantine {kept.quarantine_id}", "its reason holds a canary")


def _sings(evidence: Evidence, value: Any) -> bool:
    """Whether a canary stands anywhere in a value."""
    if isinstance(value, str):
        return any(canary in value for canary in evidence.canaries)
    if isinstance(value, dict):
        return any(_sings(evidence, inner) for pair in value.items() for inner in pair)
    return isinstance(value, list | tuple) and any(_sings(evidence, inner) for inner in value)


def _left(send: Send, answer: Line) -> float:
    """When the request left that was answered so."""
    return max((at for at in send.invoked if at <= answer["at"]), default=answer["at"])


def _dishonest(evidence: Evidence, send: Send, line: Line) -> str | None:
    status, problem = line["status"], line["problem"]
    if line["op"] == "ok" and line["kind"] == "invalid":
        return "answered 202 to what must be refused"
    if status is not None and status >= 500 and status != 503:
        return f"answered {status} ({problem})"
    if problem == ECHO:
        return f"answered {status} with the caller's own words in it"
    if status is not None and (problem == NOT_A_PROBLEM or (status >= 400 and not problem)):
        return f"answered {status} without a problem document"
    waits = line["op"] == "info" and (status is None or status in PATIENT)
    if waits and not evidence.near_a_fault(_left(send, line), line["at"]):
        return f"no answer ({problem})" if status is None else f"answered {status} with no fault about"
    return None


def _figures(evidence: Evidence, journals: Journals, undecided: Iterable[Send]) -> dict[str, Any]:
    sends = list(journals.all_sends)
    latency: dict[str, list[float]] = defaultdict(list)
    for send in sends:
        first = min(send.oks, key=lambda line: float(line["at"]), default=None)
        if first is not None and first.get("latency") is not None:
            latency[_phase(evidence, first["intended"])].append(first["latency"])
    oks = sorted(line["at"] for send in sends for line in send.oks)
    return {
        "sent": len(sends),
        "acked": sum(send.acked for send in sends),
        "refused": sum(send.refused for send in sends),
        "undecided": len(list(undecided)),
        "info": sum(len(send.infos) for send in sends),
        "latency_seconds": {phase: spread(values) for phase, values in latency.items()},
        "worst_gap_seconds": round(max((after - before for before, after in pairwise(oks)), default=0.0), 3),
    }


def _phase(evidence: Evidence, at: float) -> str:
    if any(begins <= at <= ends for begins, ends in evidence.windows):
        return "fault"
    return "recovery" if evidence.near_a_fault(at, at) else "steady"
