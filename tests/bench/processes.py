"""Programs of ours that are measured from outside: processor time and memory as the kernel counts them."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.children import Command, descendants, spawn, stop
from deploy.local.places import REPOSITORY
from deploy.local.readiness import NotReady, http_ready, wait_until
from deploy.local.supervisor import in_thread
from deploy.local.terminal import last_lines

STOP_SECONDS = 20.0
READY_SECONDS = 90.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class ProgramFailed(RuntimeError):
    """A program that is measured ended too early, or badly; the text holds the last lines of its log."""


class Program:
    """One running program. base_url: of its HTTP side, where it has one."""

    def __init__(self, name: str, child: "subprocess.Popen[bytes]", log: Path, base_url: str = "") -> None:
        self.name = name
        self.base_url = base_url
        self.log = log
        self._child = child

    @property
    def pid(self) -> int:
        """Process id. Raises ProgramFailed when it has ended."""
        self.check()
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    def check(self) -> None:
        """Raise ProgramFailed unless it runs."""
        if not self.is_running:
            raise ProgramFailed(f"{self.name} ended with {self._child.returncode}:\n{last_lines(self.log)}")

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system, with everything that it has started; exact to 10 ms."""
        return tree_cpu_seconds(self.pid)

    def memory_mb(self) -> float:
        """The memory that is resident now, in MB of 2^20 bytes, with everything that it has started."""
        return self._memory_mb("VmRSS:")

    def peak_memory_mb(self) -> float:
        """The most memory that was resident at once, in MB of 2^20 bytes, with everything that it has started."""
        return self._memory_mb("VmHWM:")

    def _memory_mb(self, field: str) -> float:
        return sum(_memory_mb(pid, field) for pid in [self.pid, *descendants(self._child.pid)])

    async def wait_ready(self) -> None:
        """Wait until /readyz says 200. Raises ProgramFailed."""
        try:
            await wait_until(
                lambda: http_ready(f"{self.base_url}/readyz"),
                seconds=READY_SECONDS,
                still_alive=lambda: self.is_running,
            )
        except NotReady as error:
            raise ProgramFailed(f"{self.name} is not ready: {error}\n{last_lines(self.log)}") from error

    async def wait_end(self, seconds: float) -> None:
        """Wait until it has done its work and ended. Raises ProgramFailed if it ends badly or not in time."""
        async with asyncio.timeout(seconds):
            while self.is_running:
                await asyncio.sleep(0.02)
        if self._child.returncode != 0:
            self.check()

    async def end(self) -> None:
        """End it with SIGTERM, and when that does not help in time, with SIGKILL."""
        if self.is_running:
            await in_thread(lambda: stop(self._child, signal.SIGTERM, seconds=STOP_SECONDS))


@asynccontextmanager
async def program(
    name: str, argv: Sequence[str], environment: Mapping[str, str], directory: Path, base_url: str = ""
) -> AsyncIterator[Program]:
    """Run a program for the length of a block; it ends with us, however we end.

    environment: additions to ours. Its log is `logs/<name>.log` in the directory.
    """
    log, record = directory / "logs" / f"{name}.log", directory / "children" / f"{name}.json"
    command = Command(argv, environment={**os.environ, **environment}, directory=REPOSITORY)
    running = Program(name, spawn(command, log, record), log, base_url)
    try:
        yield running
    finally:
        await running.end()
        record.unlink(missing_ok=True)


def machine_cpu_seconds() -> float:
    """Processor time that everything on the machine has used so far, waiting for disks not counted; 0 without /proc."""
    try:
        fields = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0].split()[1:]
    except OSError:
        return 0.0
    # user, nice, system, idle, iowait, irq, softirq (proc_stat(5)); what follows is somebody else's or counted already.
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS_A_SECOND


def tree_cpu_seconds(pid: int) -> float:
    """Processor time so far of a process and of everything that it has started."""
    return sum(_cpu_seconds(one) for one in [pid, *descendants(pid)])


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    # After the name: utime, stime, and the same of children that have ended (proc(5), fields 14 to 17).
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def _memory_mb(pid: int, field: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith(field)), "0")
    return int(kilobytes) / 1024
