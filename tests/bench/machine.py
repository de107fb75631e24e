"""What was measured, and on what: the facts without which a figure says nothing."""

import os
import platform
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.places import REPOSITORY
from tests.bench.platform import BenchPlatform


async def circumstances(opened: BenchPlatform | None) -> dict[str, str]:
    """Date, commit, machine and versions; of the servers too, where they ran."""
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    if opened is not None:
        about = await opened.databases.about()
        told |= {"PostgreSQL": about.pop("version"), "Kafka": _kafka()}
        told["database"] = ", ".join(f"{name} {value}" for name, value in about.items())
    return told


def _commit() -> str:
    commit = _git("rev-parse", "--short=10", "HEAD") or "unknown"
    # Not the pages into which the benchmark itself writes.
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs", ":!README*")
    return f"{commit} and changes" if changes else commit


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _kafka() -> str:
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return "given by KAFKA_BOOTSTRAP_SERVERS"
    named = tomllib.loads((REPOSITORY / "deploy/local/kafka/jgo.toml").read_text(encoding="utf-8"))
    return str(
        next(one for one in named["dependencies"]["coordinates"] if one.startswith("org.apache.kafka"))
    ).rpartition(":")[2]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
