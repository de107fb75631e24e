"""The console shows the policy's colours, with text that can be read on them."""

import re
from datetime import date
from pathlib import Path

import pytest

from services.notifier.console.colours import READABLE, contrast, grade_styles, ink_on
from shared.policy import default_policies, load_policies

EXAMPLES = Path(__file__).parents[2] / "shared" / "policies" / "examples"
TODAY = date(2026, 3, 2)
RULE = re.compile(r"\.in-([a-z0-9-]+)\.grade-([a-z]+) \{ --grade: (#[0-9a-f]{6}); --grade-ink: (#[0-9a-f]{6}); \}")


def test_the_national_colours_are_those_that_people_know() -> None:
    found = {grade: (colour, ink) for _, grade, colour, ink in RULE.findall(grade_styles(default_policies().versions))}
    assert found == {
        "red": ("#b3261e", "#ffffff"),
        "orange": ("#b45309", "#ffffff"),
        "yellow": ("#facc15", "#1f1400"),
        "blue": ("#1d4ed8", "#ffffff"),
        "green": ("#166534", "#ffffff"),
    }


def test_each_jurisdiction_has_its_own_colours_and_nothing_else_is_written() -> None:
    books = load_policies(EXAMPLES).books.values()
    styles = grade_styles(book.on(TODAY) for book in books)
    rules = RULE.findall(styles)
    assert len(rules) == len(styles.splitlines()) == 15
    colours = {(name, grade): colour for name, grade, colour, _ in rules}
    assert colours["county-three-colours", "orange"] == colours["county-three-colours", "red"]
    assert colours["national", "orange"] != colours["national", "red"]


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)
    assert contrast("#1d4ed8", "#1d4ed8") == pytest.approx(1)


def test_on_every_colour_there_is_a_text_that_can_be_read() -> None:
    steps = range(0, 256, 15)
    for colour in (f"#{red:02x}{green:02x}{blue:02x}" for red in steps for green in steps for blue in steps):
        assert contrast(ink_on(colour), colour) >= READABLE
