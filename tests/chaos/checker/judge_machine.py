"""Was everything well again in time, and within its caps all along? (I12, I14) The runner measured both."""

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.verdict import Findings


def judge_recovery(evidence: Evidence, findings: Findings) -> None:
    """Hold the time to recovery against its bound."""
    recovery = evidence.recovery
    if recovery is None:
        return
    findings.figures["recovery_seconds"] = recovery.seconds
    if recovery.seconds is None:
        findings.convict("unready", "recovery", f"not within {recovery.bound_seconds:g} s: {recovery.missing}")
    elif recovery.seconds > recovery.bound_seconds:
        findings.convict("unready", "recovery", f"{recovery.seconds:.1f} s, allowed are {recovery.bound_seconds:g} s")


def judge_caps(evidence: Evidence, findings: Findings) -> None:
    """Hold each sample against the caps."""
    most: dict[str, list[int]] = {}
    for sample in evidence.samples:
        peak = most.setdefault(sample.service, [0, 0])
        peak[0], peak[1] = max(peak[0], sample.memory_bytes), max(peak[1], sample.open_files)
    for service, (memory_bytes, open_files) in most.items():
        if memory_bytes > evidence.caps.memory_bytes:
            findings.convict("over_cap", service, f"used {memory_bytes} bytes of memory")
        elif open_files > evidence.caps.open_files:
            findings.convict("over_cap", service, f"had {open_files} files open")
    findings.figures["most_used"] = {
        service: {"memory_bytes": memory_bytes, "open_files": open_files}
        for service, (memory_bytes, open_files) in most.items()
    }
