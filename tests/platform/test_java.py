from importlib import util
from pathlib import Path

import pytest

from deploy.local.java import NoJava, find_java


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, on a machine for which there is no Java wheel."""
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install_java(folder: Path, version: str) -> None:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)


def test_without_any_java_the_message_says_what_to_do(bin_folder: Path) -> None:
    with pytest.raises(NoJava, match="install Java 17 or newer, or name a broker in KAFKA_BOOTSTRAP_SERVERS"):
        find_java()


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292"])
def test_an_old_java_on_the_path_is_refused_with_its_release(bin_folder: Path, version: str) -> None:
    install_java(bin_folder, version)
    with pytest.raises(NoJava, match=f"release {'8' if version.startswith('1.8') else '11'}"):
        find_java()


def test_a_java_on_the_path_is_taken_where_the_wheel_has_none(bin_folder: Path) -> None:
    install_java(bin_folder, "17.0.15")
    found = find_java()
    assert (found.program, found.release) == (bin_folder / "java", 17)
    assert found.quiet_options() == ["--enable-native-access=ALL-UNNAMED"]
