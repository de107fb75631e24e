"""Output formats of exact numbers: fixed places, rounded half away from zero, never minus zero."""

from __future__ import annotations

from fractions import Fraction


def rounded(value: Fraction, places: int) -> str:
    """Write an exact number with so many decimal places."""
    scale = 10**places
    magnitude = abs(value) * scale
    whole = (2 * magnitude.numerator + magnitude.denominator) // (2 * magnitude.denominator)
    sign = "-" if value < 0 and whole else ""
    if not places:
        return f"{sign}{whole}"
    return f"{sign}{whole // scale}.{whole % scale:0{places}d}"


def two_places(value: Fraction) -> str:
    """Yuan with fen."""
    return rounded(value, 2)


def four_places(value: Fraction) -> str:
    """A ratio."""
    return rounded(value, 4)
