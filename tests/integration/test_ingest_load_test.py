"""`shouwang-ingest load-test` against a running ingest."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from shared.codec import decode_json
from tests.conftest import Platform
from tests.integration.test_ingest_log import RunningIngest, read_topic, running_ingest

pytestmark = pytest.mark.integration


async def load_test(ingest: RunningIngest, *arguments: str) -> tuple[int, str, str]:
    """Run the command; exit status, what it wrote, what it said."""
    key = ingest.client.headers["authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("shouwang-ingest")),
        *("load-test", "--url", str(ingest.client.base_url), *arguments),
        env={"SHOUWANG_API_KEY": key, "COLUMNS": "120"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, said = await process.communicate()
    assert key not in (written + said).decode()
    assert process.returncode is not None
    return process.returncode, written.decode(), said.decode()


async def test_it_enrols_its_households_and_tells_what_became_of_its_events(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        arguments = ("--rate", "100", "--duration", "3", "--households", "30", "--connections", "8")
        status, written, said = await load_test(ingest, *arguments, "--json")
        on_log = [decode_json(value) for _, value in (await read_topic(platform)).values()]
        shown_status, shown, _ = await load_test(ingest, *arguments)
    assert (status, said) == (0, "")
    told = json.loads(written)
    assert told["passed"] is True
    assert told["offered"] + told["refused_on_purpose"] == 300
    assert told["taken"] == told["offered"]
    assert told["statuses"]["202"] == told["taken"]
    types = Counter(event["type"] for event in on_log)
    assert types["cn.shouwang.registry.enrolled.v1"] == 30
    assert len(on_log) == 30 + told["taken"]
    assert {event["subject"] for event in on_log} <= {f"LOAD-{number:06d}" for number in range(30)}
    assert shown_status == 0
    assert "PASS" in shown and "p99.9" in shown


async def test_batches_are_sent_as_lines(platform: Platform, tmp_path: Path) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        status, written, _ = await load_test(
            ingest, "--rate", "500", "--duration", "2", "--households", "20", "--mix", "batch:50", "--json"
        )
    told = json.loads(written)
    assert (status, told["taken"], told["statuses"]) == (0, 1_000, {"202": 20})


async def test_without_a_valid_key_nothing_is_enrolled_and_the_problem_is_named(
    platform: Platform, tmp_path: Path
) -> None:
    async with running_ingest(platform, tmp_path) as ingest:
        ingest.client.headers["authorization"] = "Bearer sw0123456789ab.wrong"
        status, written, said = await load_test(ingest, "--duration", "1", "--households", "1", "--json")
        on_log = await read_topic(platform)
    assert (status, written, on_log) == (1, "", {})
    assert said == "1 of 1 households were not enrolled: unauthorised\n"
