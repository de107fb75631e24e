"""docs/rules.md and its Chinese twin are what the code says: no drift, nothing missing, every example recomputed."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.rules_book import words
from deploy.rules_book.__main__ import main
from services.scorer.core.floors import FLOOR_GRADES
from services.scorer.grade_command import grade_lines
from shared.events.catalogue import EVENT_TYPES
from shared.events.effects import Guarantee, Kind, Mark, Register, Structure
from shared.events.payloads import CAUSES
from shared.policy import default_policies
from tests.rules.reference import grade_case

DOCS = Path(__file__).parents[2] / "docs"
TEXTS = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("rules.md", "rules.zh-CN.md")}
POLICIES = default_policies()
AS_OF = "2026-03-02"
_CELLS = re.compile(r"^\| (?:before|after|此前|此后) \|(.*)\|$", re.MULTILINE)
_BLOCK = re.compile(r"```json\n(.*?)\n```", re.DOTALL)


class Section(NamedTuple):
    """One event type as a document has it. figures: cells of the lines "before" and "after"."""

    file: str
    type: str
    events: list[dict[str, Any]]
    figures: list[list[str]]


def sections() -> Iterator[Section]:
    for file, text in TEXTS.items():
        for part in text.split("\n#### `")[1:]:
            events = [json.loads(line) for block in _BLOCK.findall(part) for line in block.splitlines()]
            figures = [[cell.strip() for cell in line.split("|")] for line in _CELLS.findall(part)]
            yield Section(file, part.partition("`")[0], events, figures)


SECTIONS = list(sections())
HOUSEHOLD = json.loads(_BLOCK.search(TEXTS["rules.md"]).group(1))  # type: ignore[union-attr]


def cells(result: Mapping[str, Any]) -> list[str]:
    """A result as the document's tables show it."""
    parts = [str(result["parts"][name]) for name in ("income", "rigid", "guarantee", "resilience")]
    return [
        result["adjusted_per_capita"],
        result["ratio"],
        f"{result['score']} = {'+'.join(parts)}",
        f"**{result['grade']}** / {result['raw_grade']}",
        " ".join(result["floors"]) or "-",
        " ".join(result["causes"]) or "-",
    ]


def test_the_documents_are_what_the_generator_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section.file}:{section.type}")
def test_every_figure_of_an_example_is_recomputed_by_a_second_reading_of_the_rules(section: Section) -> None:
    own = [event for event in section.events if event["event_id"] == "e-2"]
    for line, events in zip(
        section.figures, ([e for e in section.events if e not in own], section.events), strict=True
    ):
        case = {"id": section.type, "household": HOUSEHOLD, "events": events, "as_of": AS_OF}
        answered = json.loads(next(grade_lines([json.dumps(case)], POLICIES)))
        if "grade" not in answered:
            assert section.type == "registry.closed" and not any(line[:3])
            continue
        assert line == cells(answered)
        assert line == cells(grade_case(case)[0])


def test_every_event_type_is_described_in_both_languages() -> None:
    for file in TEXTS:
        assert [section.type for section in SECTIONS if section.file == file] == list(EVENT_TYPES)


def test_every_example_with_an_effect_on_grading_shows_a_difference() -> None:
    without = {s.type for s in SECTIONS if s.figures[0] == s.figures[1]}
    unchanged = ("measure.", "registry.enrolled", "registry.moved", "fin.loan_granted", "hazard.forecast")
    assert without == {kind for kind in EVENT_TYPES if kind.startswith(unchanged)}


def test_every_word_of_the_rules_has_its_translation() -> None:
    policy = POLICIES.versions[0]
    assert set(words.floors(policy)) == {*FLOOR_GRADES, "THIRD_PARTY"}
    assert set(words.marks(policy)) == set(Mark)
    assert (set(words.CAUSES), set(words.KINDS), set(words.GUARANTEES)) == (set(CAUSES), set(Kind), set(Guarantee))
    assert (set(words.STRUCTURES), set(words.REGISTERS)) == (set(Structure), set(Register))
