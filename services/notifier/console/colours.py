"""The console's colours of grades, as each jurisdiction's policy sets them."""

from collections.abc import Iterable

from shared.grades import RiskGrade
from shared.policy import Policy

_INKS = ("#ffffff", "#1f1400", "#000000")
READABLE = 4.5
"""Least contrast between text and its ground (WCAG 2, level AA)."""


def grade_styles(policies: Iterable[Policy]) -> str:
    """Write the stylesheet: for each policy and grade its colour, and the first ink that can be read on it.

    A chip or an edge of grade G under policy P has the classes `grade-G` and `in-P`.
    """
    return "".join(_rule(policy, grade) for policy in policies for grade in reversed(RiskGrade))


def _rule(policy: Policy, grade: RiskGrade) -> str:
    colour = policy.look(grade).colour
    return f".in-{policy.name}.grade-{grade.code} {{ --grade: {colour}; --grade-ink: {ink_on(colour)}; }}\n"


def ink_on(colour: str) -> str:
    """The text colour to use on a ground; black or white can always be read."""
    return next(ink for ink in _INKS if contrast(ink, colour) >= READABLE)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours "#rrggbb", from 1 (none) to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
