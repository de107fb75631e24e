"""What can be checked of the two READMEs without a server."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.notifier.channels.webhook import signed_headers

REPOSITORY = Path(__file__).parents[2]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
BOTH = pytest.mark.parametrize("name", [ENGLISH, CHINESE])
WORDS = {
    "household",
    "event",
    "message",
    "record",
    "effect",
    "score",
    "grade",
    "alert",
    "delivery",
    "acknowledgement",
}
SECRET = "whsec_" + "QUJD" * 8


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), re.M | re.S)


def without_comments(block: str) -> list[str]:
    return [line.partition("   #")[0].rstrip() for line in block.splitlines()]


def test_both_languages_show_the_same_commands_and_code() -> None:
    shown = [[without_comments(block) for block in blocks(name, "sh")] for name in (ENGLISH, CHINESE)]
    assert shown[0] == shown[1]
    assert len(shown[0]) == 6
    assert blocks(ENGLISH, "python") == blocks(CHINESE, "python")


def test_both_languages_show_the_same_output() -> None:
    shown = [blocks(name, "text")[:-1] for name in (ENGLISH, CHINESE)]  # the last one is the tree, with its notes
    assert shown[0] == shown[1]
    assert len(shown[0]) == 7


@BOTH
def test_every_make_target_that_is_named_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.M))
    named = set(re.findall(r"(?:^|`)(?:\w+=\w+ )?make (?:\w+=\S+ )?([a-z-]+)", text_of(name), re.M))
    assert {"run", "test", "smoke", "help"} <= named <= targets


@BOTH
def test_every_relative_link_resolves(name: str) -> None:
    text = text_of(name)
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.M)}
    assert len(links) >= 8
    assert [link for link in links if link.startswith("#") and link not in headings] == []
    files = [link.partition("#")[0] for link in links if not link.startswith(("#", "https://"))]
    assert [file for file in files if not (REPOSITORY / file).exists()] == []


def test_the_glossaries_list_the_same_words_in_the_same_order() -> None:
    english = re.findall(r"^\| ([a-z]+) \| ([\u4e00-\u9fff]+) \| .+ \|$", text_of(ENGLISH), re.M)[
        1:
    ]  # without the heading
    chinese = re.findall(r"^\| ([\u4e00-\u9fff]+) \| ([a-z]+) \| .+ \|$", text_of(CHINESE), re.M)
    assert english == [(word, translated) for translated, word in chinese]
    assert {word for word, _ in english} == WORDS


@BOTH
def test_the_only_addresses_are_those_of_a_local_run(name: str) -> None:
    assert {host.partition(":")[0] for host in re.findall(r"://([^/\s\"'`]+)", text_of(name))} == {"127.0.0.1"}


@BOTH
def test_every_setting_and_metric_that_is_named_exists(name: str) -> None:
    text = text_of(name)
    settings = re.findall(r"SHOUWANG_[A-Z_]+", text)
    assert settings
    assert [setting for setting in settings if setting not in text_of(".env.example")] == []
    metrics = set(re.findall(r"shouwang_(?:ingest|scorer|notifier)_([a-z_]+)", text))
    sources = [*(REPOSITORY / "services").rglob("*.py"), *(REPOSITORY / "shared").rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert len(metrics) >= 8
    assert [metric for metric in metrics if f'"{metric}"' not in code] == []


@BOTH
def test_no_line_holds_a_key_or_a_password(name: str) -> None:
    assert re.findall(r"\bsw[0-9a-f]{12}\.[\w-]{20,}|postgresql://\w+:\w+", text_of(name)) == []


@pytest.fixture
def is_from_shouwang() -> Callable[..., bool]:
    """The snippet that receivers of webhooks are told to use."""
    names: dict[str, Any] = {}
    (code,) = blocks(ENGLISH, "python")
    exec(compile(code, ENGLISH, "exec"), names)
    found: Callable[..., bool] = names["is_from_shouwang"]
    return found


def test_the_webhook_snippet_takes_what_the_notifier_signs(is_from_shouwang: Callable[..., bool]) -> None:
    headers = signed_headers(SECRET, '{"grade":"red"}', "msg_1", datetime.now(UTC))
    assert is_from_shouwang(headers, b'{"grade":"red"}', SECRET)


def test_the_webhook_snippet_refuses_a_changed_body_another_secret_and_an_old_message(
    is_from_shouwang: Callable[..., bool],
) -> None:
    headers = signed_headers(SECRET, "{}", "msg_1", datetime.now(UTC))
    assert not is_from_shouwang(headers, b"{} ", SECRET)
    assert not is_from_shouwang(headers, b"{}", "whsec_" + "QUJE" * 8)
    old = signed_headers(SECRET, "{}", "msg_1", datetime(2026, 1, 1, tzinfo=UTC))
    assert not is_from_shouwang(old, b"{}", SECRET)
