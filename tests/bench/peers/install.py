"""Gives each entrant its own environment under .local/peers, from locked files, once; or says why it has none."""

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.bench.peers.entrants import ENVIRONMENTS, JAVA, JAVA_FOLDER, OURS, Entrant

MADE_FROM = "made-from.sha256"


class CannotInstall(RuntimeError):
    """An entrant cannot run on this machine; the text is the reason."""


def install(entrant: Entrant) -> None:
    """Make the entrant's environment, unless it was made from the same files. Raises CannotInstall."""
    if entrant.name == OURS:
        return
    sources = [entrant.lock] if entrant.module else sorted(JAVA_FOLDER.iterdir())
    wanted, stamp = _fingerprint(sources), entrant.environment / MADE_FROM
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    shutil.rmtree(entrant.environment, ignore_errors=True)
    if entrant.name == JAVA:
        _build_java(entrant.environment)
    else:
        _make_python(entrant.environment, sources[0])
    stamp.write_text(wanted, encoding="ascii")


def python_of(entrant: Entrant) -> Path | None:
    """The Python that runs it, where that is not its own environment's."""
    return Path(sys.executable) if entrant.name == OURS else None


def _make_python(environment: Path, lock: Path) -> None:
    venv.create(environment, with_pip=True, symlinks=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _do([*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)])


def _build_java(environment: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotInstall("there is no mvn on PATH: install Maven and a JDK 17 or newer")
    _do(
        [
            *(maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(JAVA_FOLDER / "pom.xml")),
            *(f"-Dpeers.output={environment}", f"-Dmaven.repo.local={ENVIRONMENTS / 'maven'}", "package"),
        ]
    )
    check_jars(environment / "jars", JAVA_FOLDER / "jars.sha256")


def check_jars(folder: Path, sums: Path) -> None:
    """Hold the jars against the committed sums, as sha256sum writes them. Raises CannotInstall."""
    wanted = {line.split()[1]: line.split()[0] for line in sums.read_text(encoding="ascii").splitlines()}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    if found != wanted:
        names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise CannotInstall(f"these jars are not the ones in {sums.name}: {', '.join(names)}")


def _do(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise CannotInstall(f"{Path(command[0]).name} ended with {done.returncode}: {last}")


def _fingerprint(files: Sequence[Path]) -> str:
    content = hashlib.sha256(sys.version.encode())
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()
