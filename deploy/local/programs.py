"""Runs the services' own commands once (migrate, topics, imports, keys), as a person would at the prompt."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.children import Command, spawn, stop
from deploy.local.places import REPOSITORY
from deploy.local.supervisor import RunFailed, in_thread
from deploy.local.terminal import last_lines

ServiceCommand = Callable[..., list[str]]


def service_command(service: str, *arguments: str) -> list[str]:
    """Command line of a service: its console script beside the running Python, or the same from a bare clone."""
    script = Path(sys.executable).parent / f"shouwang-{service}"
    if script.exists():
        return [str(script), *arguments]
    return [sys.executable, "-c", f"from services.{service}.main import cli; cli()", *arguments]


class Programs:
    """One-shot commands of a run; each writes to `logs/<name>.log`."""

    def __init__(self, directory: Path, *, seconds: float = 60.0) -> None:
        self._directory = directory
        self._seconds = seconds

    async def run(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        typed: str | None = None,
        wants_answer: bool = False,
    ) -> str:
        """Run a command to its end; its standard output where that is wanted. Raises RunFailed.

        typed: what it reads on standard input.
        """
        log = self._directory / "logs" / f"{name}.log"
        record = self._directory / "children" / f"{name}.json"
        answer = self._directory / f"{name}.answer" if wants_answer else None
        child = spawn(
            Command(argv, environment=environment, directory=REPOSITORY, typed=typed, answer=answer), log, record
        )
        try:
            code = await in_thread(lambda: _exit_code(child, self._seconds))
            if code != 0:
                why = f"exit code {code}" if code is not None else f"not done in {self._seconds:.0f} s"
                shown = " ".join([Path(argv[0]).name, *argv[1:]])
                raise RunFailed(f"`{shown}` failed ({why}):\n{last_lines(log)}")
            return answer.read_text(encoding="utf-8") if answer else ""
        finally:
            if child.poll() is None:
                await in_thread(lambda: stop(child, signal.SIGKILL, seconds=5))
            record.unlink(missing_ok=True)
            if answer:
                answer.unlink(missing_ok=True)


def _exit_code(child: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Wait for a program; None when it takes too long."""
    try:
        return child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
