"""Two releases side by side (F76), and starts that must fail fast (F77)."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from deploy.local.places import REPOSITORY
from tests.chaos.base import Effect
from tests.chaos.faults.promises import must
from tests.chaos.faults.watch import wait_ready
from tests.chaos.service_settings import POLICIES_VARIABLE
from tests.chaos.world import World

MIXED_SECONDS = 3.0
FAST_SECONDS = 20.0
FAULTY_POLICY = '{"name": "half a policy"}'


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def older_release() -> str | None:
    """The commit before the last one that changed what the services are made of; None if there is none to be had."""
    try:
        commits = _git("log", "--format=%h", "-2", "--", "services", "shared").split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commits[1] if len(commits) == 2 else None


def needs_older_release() -> str | None:
    """Why no older release can be started here; None if one can."""
    return None if older_release() else "the repository's history holds no older release"


async def releases_mixed(world: World, rng: Random) -> Effect:
    """F76: the older release takes over one replica of each kind, then all of ingest, then everything is put back."""
    folder = await asyncio.to_thread(_unpack, world.directory)
    # Python must not look for modules where it is started: the older release comes first.
    older = {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}", "PYTHONSAFEPATH": "1"}
    if not _knows_budgets(folder):
        # A field of the policy that the older release does not know would keep it from starting.
        older[POLICIES_VARIABLE] = str(folder / "shared" / "policies")
    turns: Sequence[tuple[str, ...]] = (("scorer-2", "notifier-2"), ("ingest",), ("scorer-1", "notifier-1"))
    ran = 0
    for names in turns:
        await asyncio.gather(*(world.services[name].restart(environment=older) for name in names))
        await wait_ready(world, names)
        ran += len(names)
        await asyncio.sleep(MIXED_SECONDS)
    for names in turns:
        await asyncio.gather(*(world.services[name].restart() for name in names))
        await wait_ready(world, names)
        await asyncio.sleep(MIXED_SECONDS)
    return Effect(f"{ran} services ran on the older release {older_release()}, in turn, beside the present one", ran)


def _unpack(directory: Path) -> Path:
    commit = older_release()
    assert commit is not None
    folder = directory / f"release-{commit}"
    if not folder.exists():
        folder.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", commit, "services", "shared"], cwd=REPOSITORY, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def _knows_budgets(folder: Path) -> bool:
    return "messages_per_person" in (folder / "shared" / "policy" / "sections.py").read_text(encoding="utf-8")


async def bad_starts(world: World, rng: Random) -> Effect:
    """F77: each wrong start ends fast and says why, and the processes that run are not touched."""
    before = {name: service.pid for name, service in world.services.items()}
    policies = world.directory / "faulty-policies"
    policies.mkdir(exist_ok=True)
    (policies / "faulty.json").write_text(FAULTY_POLICY, encoding="utf-8")
    sound = {"DATABASE_URL": world.postgres.dsn, "KAFKA_BOOTSTRAP_SERVERS": world.bootstrap_direct}
    nowhere = {**sound, "DATABASE_URL": "postgresql://nobody:wrong@127.0.0.1:1/none"}
    plain_text = {"SHOUWANG_ENVIRONMENT": "production", "SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1"}
    starts: Sequence[tuple[str, Mapping[str, str], str]] = (
        ("ingest", {"KAFKA_BOOTSTRAP_SERVERS": "x"}, "DATABASE_URL"),
        ("ingest", {**sound, "SHOUWANG_INGEST_PORT": "no number"}, "SHOUWANG_INGEST_PORT"),
        ("scorer", {**sound, "SHOUWANG_SCORER_BATCH_RECORDS": "0"}, "SHOUWANG_SCORER_BATCH_RECORDS"),
        ("scorer", {**sound, "SHOUWANG_SCORER_POLICIES": str(policies)}, "policy"),
        ("scorer", nowhere, "cannot go on"),
        ("notifier", {**sound, **plain_text}, "WEBHOOK_ALLOW_PRIVATE"),
        ("notifier", {**sound, "SHOUWANG_NOTIFIER_PUBLIC_URL": "not an address"}, "PUBLIC_URL"),
    )
    ended = [await _ends_fast(service, environment, words) for service, environment, words in starts]
    after = {name: service.pid for name, service in world.services.items()}
    must(before == after, "a running service was disturbed")
    return Effect(
        f"{len(ended)} wrong starts ended, the slowest after {max(ended):.1f} s; the running ones stayed", len(ended)
    )


async def _ends_fast(service: str, environment: Mapping[str, str], words: str) -> float:
    """Start a service that must refuse, and return how long it took."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHOUWANG", "DATABASE", "KAFKA"))}
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}.main",
        "serve",
        cwd=REPOSITORY,
        env={**kept, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), FAST_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()
        must(False, f"{service} with a fault about {words} was still running after {FAST_SECONDS:g} s")
    must(child.returncode in (1, 2), f"{service} ended with status {child.returncode}")
    must(words in said.decode(errors="replace"), f"{service} did not name {words}")
    return time.monotonic() - began
