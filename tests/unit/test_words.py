"""The words that people read: complete in both languages, in step with the code, and nowhere but in the catalogues."""

import ast
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

from deploy.words import CODE, LOCALES, main
from services.notifier.console.words import ConsoleWords
from services.notifier.core.acting import REFUSALS
from services.notifier.core.words import Words
from services.notifier.wording import CHINESE, ENGLISH, catalogue_file
from shared.alerts import AlertStatus, ChannelName, DeliveryStatus, Resolution, StepKind, VisitResult
from shared.policy import Role
from tests.fakes.notifier import WORDING

# What people type into a list or a reply, and what a vendor calls a field of its own pages.
NOT_SAID = {"imports.py": {"是", "否"}, "vendor_codes.py": {"企业可信IP"}, "sms_replies.py": {"签收"}}
HAN = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def locales(tmp_path: Path) -> Path:
    """A copy of the catalogues to spoil."""
    shutil.copytree(LOCALES, tmp_path / "locale")
    return tmp_path / "locale"


def spoil(locales: Path, language: str, old: str, new: str) -> None:
    file = catalogue_file(language, locales)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_the_catalogues_are_complete_and_in_step_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, said(capsys)


@pytest.mark.parametrize(
    ("language", "old", "new", "fault"),
    [
        (CHINESE, 'msgstr "请及时核实"', 'msgstr ""', "zh_CN: 'please check soon': says nothing"),
        (CHINESE, 'msgstr[0] "%(count)d天"', 'msgstr[0] ""', "zh_CN: '%(count)d day': says nothing"),
        (ENGLISH, 'msgstr[1] "%(count)d days"', 'msgstr[1] ""', "en: is not what the code says"),
        (CHINESE, "还剩%(span)s", "还剩%(spam)s", "its placeholders are span, not spam"),
        (CHINESE, "还剩%(span)s", "还剩", "its placeholders are span, not none"),
        (ENGLISH, 'msgstr "just now"', 'msgstr "just now, %(span)s"', "its placeholders are none, not span"),
        (CHINESE, 'msgstr "刚刚"', 'msgstr "100%"', "write a percent sign twice"),
        (CHINESE, '#, python-format\nmsgid "%(span)s left"', '#, fuzzy, python-format\nmsgid "%(span)s left"', "fuzzy"),
        (CHINESE, 'msgid "just now"', 'msgid "just then"', "zh_CN: is not what the code says"),
        (ENGLISH, 'msgid "just now"', 'msgid "unsaid"\nmsgstr "unsaid"\n\nmsgid "just now"', "en: is not what"),
    ],
)
def test_a_catalogue_that_lacks_or_mangles_a_word_is_found(
    locales: Path, capsys: pytest.CaptureFixture[str], language: str, old: str, new: str, fault: str
) -> None:
    spoil(locales, language, old, new)
    assert main(["--check"], locales=locales) == 1
    assert fault in said(capsys)


def test_bringing_the_catalogues_in_step_drops_what_is_unsaid_and_keeps_every_word(locales: Path) -> None:
    before = {language: catalogue_file(language, locales).read_bytes() for language in (CHINESE, ENGLISH)}
    for language in (CHINESE, ENGLISH):
        spoil(locales, language, 'msgid "just now"', 'msgid "unsaid"\nmsgstr "unsaid"\n\nmsgid "just now"')
    assert main([], locales=locales) == 0
    assert {language: catalogue_file(language, locales).read_bytes() for language in before} == before


def test_numbers_take_the_form_of_their_language() -> None:
    def days(words: Words, count: int) -> str:
        return words.ngettext("%(count)d day", "%(count)d days", count)

    assert [days(WORDING.en, count) for count in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
    assert [days(WORDING.zh, count) for count in (0, 1, 2)] == ["0天", "1天", "2天"]


def test_one_english_word_can_be_two_chinese_ones() -> None:
    said_as = [WORDING.zh.pgettext(context, "acknowledged") for context in ("status", "step")]
    assert said_as == ["已签收", "签收"]


def test_pages_have_a_word_for_each_code_that_they_may_have_to_show() -> None:
    words = ConsoleWords(WORDING)
    assert words.status.keys() == set(AlertStatus)
    assert words.role.keys() == set(get_args(Role))
    assert words.channel.keys() == set(ChannelName)
    assert words.delivery.keys() == set(DeliveryStatus)
    assert words.step.keys() == words.step_en.keys() == set(StepKind)
    assert words.visit_result.keys() == set(get_args(VisitResult))
    assert words.resolution.keys() == set(get_args(Resolution))
    assert all(words.refusal(code) != words.refusal("") for code in REFUSALS)


def test_what_no_catalogue_has_is_said_in_english() -> None:
    assert WORDING.zh.gettext("a new message for %(name)s", name="x") == "a new message for x"


@pytest.mark.parametrize("file", sorted(CODE.rglob("*.py")), ids=lambda file: file.relative_to(CODE).as_posix())
def test_code_says_nothing_in_chinese_by_itself(file: Path) -> None:
    texts = {
        node.value
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and HAN.search(node.value)
    }
    allowed = NOT_SAID.get(file.name, set())
    assert {text for text in texts if not any(one in text for one in allowed)} == set()


@pytest.mark.parametrize("file", sorted(CODE.rglob("*.html")), ids=lambda file: file.name)
def test_pages_say_nothing_in_chinese_by_themselves(file: Path) -> None:
    assert not HAN.search(file.read_text(encoding="utf-8"))
