"""Child programs that never outlive us, and how to recognise those that did.

`spawn` starts a program through launch.py: in a session of its own (Ctrl-C at the terminal reaches only us, and we
stop the rest in order), killed by the kernel when we die, however that happens. Beside its log, each child has a
record in a file: process id, start time, command line, and the same of its owner. Where the kernel offers no such
signal (macOS), a later start finds these records and ends what is provably its own.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LAUNCHER = Path(__file__).with_name("launch.py")
LOG_KEEP_BYTES = 8 * 1024 * 1024


class InUse(RuntimeError):
    """A directory is used by somebody who is alive."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    run_as: (user id, group id) to become, or None to stay. reach_closed_folders: see launch.py.
    typed: what the program reads on its standard input (small). answer: file for its standard output, made readable
    by us alone, where that output is wanted apart from the log.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    dies_by: signal.Signals = signal.SIGKILL
    run_as: tuple[int, int] | None = None
    reach_closed_folders: bool = False
    typed: str | None = None
    answer: Path | None = None

    def launch_arguments(self) -> list[str]:
        """The command line that goes through the launcher."""
        options = ["--parent", str(os.getpid()), "--signal", str(int(self.dies_by))]
        if self.run_as:
            options += ["--user", f"{self.run_as[0]}:{self.run_as[1]}"]
        if self.reach_closed_folders:
            options += ["--reach-closed-folders"]
        return [sys.executable, "-I", "-S", str(LAUNCHER), *options, "--", *map(str, self.argv)]


@dataclass(slots=True)
class _Spawner:
    """One thread that starts every child and never ends.

    The kernel sends its signal when the *thread* that started the child ends, so a child must not be started from
    a short-lived one (asyncio.to_thread, a test's helper thread).
    """

    _orders: "queue.SimpleQueue[tuple[list[str], dict[str, object], Future[subprocess.Popen[bytes]]]]" = field(
        default_factory=queue.SimpleQueue
    )
    _thread: threading.Thread | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def spawn(self, argv: list[str], options: dict[str, object]) -> "subprocess.Popen[bytes]":
        with self._guard:
            if self._thread is None or not self._thread.is_alive():  # not alive: we are a fork of the first one
                self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
                self._thread.start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((argv, options, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            argv, options, answer = self._orders.get()
            try:
                answer.set_result(subprocess.Popen(argv, **options))  # type: ignore[call-overload]
            except OSError as error:
                answer.set_exception(error)


_spawner = _Spawner()


def spawn(command: Command, log: Path, record: Path) -> "subprocess.Popen[bytes]":
    """Start a program with its output appended to `log`, and note it in the file `record`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    keep_log_small(log)
    with contextlib.ExitStack() as files:
        output = files.enter_context(log.open("ab"))
        options: dict[str, object] = {
            "stdin": subprocess.PIPE if command.typed is not None else subprocess.DEVNULL,
            "stdout": files.enter_context(_private(command.answer)) if command.answer else output,
            "stderr": output,
            "cwd": command.directory,
            "env": dict(command.environment) if command.environment is not None else None,
            "start_new_session": True,
        }
        child = _spawner.spawn(command.launch_arguments(), options)
    write_record(record, child.pid, command.argv)
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write((command.typed or "").encode())
    return child


def _private(file: Path) -> IO[bytes]:
    """Open a new file that only its owner can read."""
    file.unlink(missing_ok=True)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def keep_log_small(log: Path) -> None:
    """Put a long log aside as `<name>.1`, so that logs of many runs do not fill the disk."""
    if log.exists() and log.stat().st_size > LOG_KEEP_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def start_time(pid: int) -> str | None:
    """When a process began, in whatever form the system tells it; None for a process that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _ask_ps(pid, "lstart=")
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]


def command_line(pid: int) -> str | None:
    """A process's command line, arguments joined by spaces; None when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _ask_ps(pid, "command=")
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _ask_ps(pid: int, column: str) -> str | None:
    """The same from `ps`, for systems without /proc."""
    answer = subprocess.run(
        ["ps", "-o", f"stat=,{column}", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, value = answer.stdout.strip().partition(" ")
    return value.strip() if value and not state.startswith("Z") else None


def write_record(record: Path, pid: int, argv: Sequence[str]) -> None:
    """Note a child and its owner (this process), readable by us alone."""
    record.parent.mkdir(parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "started": start_time(os.getpid())}
    text = json.dumps({"pid": pid, "started": start_time(pid), "argv": list(map(str, argv)), "owner": owner})
    fresh = record.with_name(record.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(record)


def read_record(record: Path) -> dict[str, object] | None:
    """The record's content, or None when there is none that can be read."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("pid"), int) else None


def is_same_process(noted: object) -> bool:
    """Whether the process of a record (or of its owner) still runs: same id, same start time, same arguments."""
    if not isinstance(noted, dict) or not isinstance(noted.get("pid"), int) or noted.get("started") is None:
        return False
    if start_time(noted["pid"]) != noted["started"]:
        return False
    line = command_line(noted["pid"]) or ""
    return all(part in line for part in noted.get("argv", []))


def clear_leftover(record: Path, *, grace_seconds: float = 10.0) -> bool:
    """End the child of a run that was killed; True when there was one.

    Raises InUse when the record's owner is alive: then it is no leftover.
    """
    noted = read_record(record)
    if noted is None:
        return False
    owner = noted.get("owner")
    if isinstance(owner, dict) and owner.get("pid") != os.getpid() and is_same_process(owner):
        raise InUse(f"{record.parent} is in use by the running process {owner['pid']}")
    found = is_same_process(noted)
    if found:
        pid = int(str(noted["pid"]))
        _signal(pid, signal.SIGTERM)
        if not _gone(pid, grace_seconds):
            _signal(pid, signal.SIGKILL)
            _gone(pid, grace_seconds)
    record.unlink(missing_ok=True)
    return found


def stop(child: "subprocess.Popen[bytes]", how: signal.Signals, *, seconds: float) -> bool:
    """Ask a child to end, and kill it when it has not within the deadline; True when it ended by itself."""
    _signal(child.pid, how)
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True


def descendants(pid: int) -> list[int]:
    """Process ids below one process (Linux; elsewhere an empty list)."""
    found: list[int] = []
    for child in _children_of(pid):
        found += [child, *descendants(child)]
    return found


def _children_of(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, task.read_text(encoding="ascii").split())


def wait_gone(pids: Sequence[int], *, seconds: float) -> bool:
    """Wait until none of these processes runs; False when some still do."""
    deadline = time.monotonic() + seconds
    return all(_gone(pid, max(0.0, deadline - time.monotonic())) for pid in pids)


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while start_time(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
