"""What is kept of each run, so that a campaign that was cut short goes on where it stopped."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from deploy.local.places import REPOSITORY

HOME = REPOSITORY / ".local" / "chaos"
RESULTS, EVIDENCE, LATEST = HOME / "results", HOME / "evidence", HOME / "latest.json"
NAMED = ("lost", "doubled", "phantom")
"""Anomalies with a count of their own in the last line; all others are counted together."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one fault, or of all together after a restart of every service (code "again-…").

    at: unix seconds of the start. recovery_seconds: from the end of the fault until everything was done; None = never.
    vacuous: why nothing was tested. broken: what went wrong beyond the judge's verdict. counts, proofs, why, figures:
    the verdict's. earlier: verdicts of runs of the same code that were not valid, and that this one repeats. run: the
    name that its households begin with.
    """

    code: str
    title: str
    seed: int
    commit: str
    at: float
    took_seconds: float
    seen: str = ""
    count: int = 0
    recovery_seconds: float | None = None
    vacuous: Sequence[str] = field(default_factory=list)
    broken: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    proofs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    why: Mapping[str, Sequence[str]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    earlier: Sequence[str] = field(default_factory=list)
    run: str = ""

    @property
    def valid(self) -> bool:
        """Whether the run tested something and nothing was found."""
        return not (self.vacuous or self.broken or any(self.counts.values()))

    @property
    def only_vacuous(self) -> bool:
        """Whether nothing was found because nothing was tested: such a run says nothing, and may be repeated."""
        return bool(self.vacuous) and not self.broken and not any(self.counts.values())

    @property
    def unexplained(self) -> int:
        """Findings other than lost, doubled and phantom; a run that tested nothing or broke off is one, too."""
        others = sum(count for anomaly, count in self.counts.items() if anomaly not in NAMED)
        return others + bool(self.vacuous) + bool(self.broken)

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        found = [f"{count} {anomaly}" for anomaly, count in self.counts.items() if count]
        found += [f"vacuous: {reason}" for reason in self.vacuous]
        found += [self.broken] if self.broken else []
        return "; ".join(found) or "ok"

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return RESULTS / f"{self.code}-{self.seed}-{self.commit}.json"

    def save(self) -> None:
        """Keep it, whole or not at all; what an earlier run found is not forgotten."""
        before = self.load(self.path)
        earlier = [] if before is None else [*before.earlier, *([] if before.valid else [before.verdict])]
        write_json(self.path, asdict(self) | {"earlier": earlier})

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read what `save` wrote; None where nothing is kept."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def kept(code: str, seed: int, commit: str) -> Result | None:
    """Return the kept result of a fault, if there is one for this commit."""
    return Result.load(RESULTS / f"{code}-{seed}-{commit}.json")


def last_line(results: Iterable[Result]) -> str:
    """Sum up a campaign in the one line that programs read."""
    results = list(results)
    lost, doubled, phantom = (sum(result.counts.get(name, 0) for result in results) for name in NAMED)
    unexplained = sum(result.unexplained for result in results)
    return f"chaos: {len(results)} runs, {lost} lost, {doubled} double, {phantom} phantom, {unexplained} unexplained"


def write_json(path: Path, facts: Any) -> None:
    """Write a file that is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)


def code_version() -> str:
    """Name the code: its commit, and a digest of what was changed since, so that results are never mixed up."""
    commit = _git("rev-parse", "--short=10", "HEAD").strip()
    changed = _git("diff", "HEAD", "--", "services", "shared", "tests/chaos", "deploy")
    new = _git("ls-files", "--others", "--exclude-standard", "--", "services", "shared", "tests/chaos", "deploy")
    if not changed and not new:
        return commit
    digest = hashlib.sha256(changed.encode())
    for name in new.splitlines():
        digest.update((REPOSITORY / name).read_bytes())
    return f"{commit}+{digest.hexdigest()[:6]}"


def machine() -> str:
    """Describe the machine, for the report."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB of memory, {platform.system()}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
