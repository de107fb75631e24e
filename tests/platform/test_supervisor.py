import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.children import Command, InUse, clear_leftover, spawn, start_time, write_record
from deploy.local.ports import free_port
from deploy.local.run_lock import AlreadyRunning, RunLock
from deploy.local.supervisor import Child, RunFailed, Step, Supervisor
from tests.platform.waiting import all_gone, eventually, recorded_processes

SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def python(code: str, **more: object) -> Command:
    return Command([sys.executable, "-c", code], **more)  # type: ignore[arg-type]


async def run_until_ready(supervisor: Supervisor, then: object = None) -> None:
    stop = asyncio.Event()

    def ready() -> None:
        if callable(then):
            then()
        stop.set()

    await asyncio.wait_for(supervisor.run(stop, ready), 30)


async def test_children_and_steps_start_after_what_they_need_and_stop_in_reverse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    async def step() -> None:
        order.append("step")

    def prepare(name: str) -> Command:
        order.append(name)
        return python(SLEEPS)

    plan = [
        Child("second", lambda: prepare("second"), needs=["step"]),
        Step("step", step, needs=["first"]),
        Child("first", lambda: prepare("first")),
    ]
    processes: dict[str, int] = {}
    supervisor = Supervisor(tmp_path, plan)
    await run_until_ready(supervisor, lambda: processes.update(supervisor.process_ids()))

    assert order == ["first", "step", "second"]
    said = capsys.readouterr().err
    assert said.index("stopping second") < said.index("stopping first")
    assert set(processes) == {"first", "second"} and all_gone(processes)


async def test_a_child_that_dies_is_started_again_and_said_so_with_its_last_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"
    code = f"import pathlib, sys, time; p = pathlib.Path({str(again)!r}); ok = p.exists(); p.touch(); "
    code += "print('out of luck', flush=True); time.sleep(0.1 if not ok else 600); sys.exit(4)"
    stop = asyncio.Event()
    supervisor = Supervisor(tmp_path, [Child("unlucky", lambda: python(code))])
    running = asyncio.create_task(supervisor.run(stop))
    await asyncio.to_thread(eventually, again.exists)
    first = supervisor.process_ids()
    await asyncio.to_thread(eventually, lambda: bool(supervisor.process_ids()) and supervisor.process_ids() != first)
    stop.set()
    await running

    said = capsys.readouterr().err
    assert "!! unlucky died (exit code 4); starting it again in 0.5 s" in said
    assert "out of luck" in said


async def test_five_deaths_within_a_minute_end_the_run_with_the_last_log_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.supervisor.BACK_OFF_SECONDS", (0.05,))
    code = "import sys; print('cannot go on', flush=True); sys.exit(3)"
    processes: dict[str, int] = {}
    supervisor = Supervisor(tmp_path, [Child("well", lambda: python(SLEEPS)), Child("ill", lambda: python(code))])

    with pytest.raises(RunFailed, match=r"(?s)ill died 5 times within a minute.*cannot go on"):
        await supervisor.run(asyncio.Event(), lambda: processes.update(supervisor.process_ids()))
    assert supervisor.process_ids() == {} and all_gone(processes)
    assert (tmp_path / "logs" / "ill.log").read_text(encoding="utf-8").count("cannot go on") == 5


async def test_a_child_that_does_not_listen_is_killed_after_its_deadline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def up() -> None:
        if "up" not in (tmp_path / "logs" / "deaf.log").read_text(encoding="utf-8"):
            raise OSError("not yet")

    supervisor = Supervisor(tmp_path, [Child("deaf", lambda: python(DEAF), up, stop_seconds=0.3)])
    await run_until_ready(supervisor)

    assert "deaf did not end within" in capsys.readouterr().err
    assert supervisor.process_ids() == {}


async def test_a_child_that_may_finish_is_not_started_again(tmp_path: Path) -> None:
    started: list[int] = []

    def prepare() -> Command:
        started.append(1)
        return python("pass")

    supervisor = Supervisor(tmp_path, [Child("short", prepare, may_finish=True)])
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    await asyncio.sleep(1.2)
    stop.set()
    await running
    assert started == [1]


async def test_a_failed_step_ends_the_run_and_its_children(tmp_path: Path) -> None:
    async def fail() -> None:
        raise RunFailed("no schema")

    supervisor = Supervisor(tmp_path, [Child("first", lambda: python(SLEEPS)), Step("step", fail, needs=["first"])])
    with pytest.raises(RunFailed, match="no schema"):
        await supervisor.run(asyncio.Event())
    assert supervisor.process_ids() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at the parent's death is Linux")
def test_a_child_dies_with_its_parent_even_when_a_short_lived_thread_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time; from pathlib import Path; from deploy.local.children import Command, spawn; "
        f"d = Path({str(tmp_path)!r}); c = Command([sys.executable, '-c', {SLEEPS!r}]); "
        "t = threading.Thread(target=lambda: spawn(c, d / 'logs' / 'x.log', d / 'children' / 'x.json')); "
        "t.start(); t.join(); time.sleep(0.5); (d / 'ready').touch(); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert eventually((tmp_path / "ready").exists)
        processes = recorded_processes(tmp_path)
        assert all(start_time(pid) for pid in processes.values())
    finally:
        parent.kill()
        parent.wait()
    assert processes and all_gone(processes, seconds=5)


def test_a_leftover_child_is_ended_only_when_it_is_provably_ours(tmp_path: Path) -> None:
    record, argv = tmp_path / "children" / "x.json", [sys.executable, "-c", SLEEPS]
    leftover = subprocess.Popen(argv)
    try:
        write_record(record, leftover.pid, argv)
        noted = json.loads(record.read_text(encoding="utf-8"))
        for lie in ({"started": "1"}, {"argv": ["another program"]}):
            record.write_text(json.dumps({**noted, **lie}), encoding="utf-8")
            assert not clear_leftover(record)
            assert leftover.poll() is None
        record.write_text(json.dumps(noted), encoding="utf-8")
        assert clear_leftover(record)
        assert leftover.wait(timeout=5) == -signal.SIGTERM
    finally:
        leftover.kill()
        leftover.wait()


def test_a_directory_whose_owner_lives_is_left_alone(tmp_path: Path) -> None:
    record, argv = tmp_path / "children" / "x.json", [sys.executable, "-c", SLEEPS]
    child = spawn(Command(argv), tmp_path / "x.log", record)
    try:
        noted = json.loads(record.read_text(encoding="utf-8"))
        alive = {"pid": os.getppid(), "started": start_time(os.getppid())}
        record.write_text(json.dumps({**noted, "owner": alive}), encoding="utf-8")
        with pytest.raises(InUse, match=str(os.getppid())):
            clear_leftover(record)
    finally:
        child.kill()
        child.wait()


HOLDS_LOCK = (
    "import sys, time; from pathlib import Path; from deploy.local.run_lock import RunLock; "
    "lock = RunLock(Path(sys.argv[1])); lock.__enter__(); print('taken', flush=True); time.sleep(600)"
)


def test_a_live_run_keeps_the_directory_and_a_killed_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_LOCK, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        with holder.stdout:
            assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(AlreadyRunning, match=rf"process {holder.pid}.*RUN_DIR"):
            RunLock(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.wait()
    (tmp_path / "run.json").touch()

    with RunLock(tmp_path):
        assert f"process {holder.pid}) was killed" in capsys.readouterr().err
        assert not (tmp_path / "run.json").exists()
    with RunLock(tmp_path):
        assert capsys.readouterr().err == ""


def test_a_taken_port_means_the_next_free_one() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(1)
        wanted = busy.getsockname()[1]
        assert free_port(wanted) > wanted
    assert free_port(wanted) == wanted


def test_a_port_promised_to_another_run_that_does_not_listen_yet_is_not_taken() -> None:
    code = "import sys; from deploy.local.ports import free_port; print(free_port(0), flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    promised = int(other.stdout.readline())
    assert free_port(promised) > promised
    other.communicate("", timeout=10)
    assert free_port(promised) == promised
