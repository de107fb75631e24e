"""Figures in words: amounts with thousands separators, shares, ages."""

from __future__ import annotations

from fractions import Fraction

from services.scorer.core.figures import rounded
from services.scorer.core.floors import Standing
from services.scorer.core.money import Quantities
from shared.policy import Floors

MINUS = "\u2212"


def yuan(fen: int | Fraction) -> str:
    """Write an amount of fen as yuan: "60,000", "1,234.50", "−2,000"."""
    text = rounded(abs(Fraction(fen)) / 100, 2)
    whole, _, cents = text.partition(".")
    sign = MINUS if fen < 0 and text != "0.00" else ""
    return f"{sign}{int(whole):,}" + ("" if cents == "00" else f".{cents}")


def per_head(quantities: Quantities, total_fen: int | None = None) -> str:
    """The reference income (or another total) per member, in yuan."""
    return yuan(Fraction(quantities.adjusted if total_fen is None else total_fen, quantities.members))


def percent_of(part_fen: int, whole_fen: int) -> str | None:
    """A share in per cent with one decimal; None where there is nothing to take a share of."""
    return f"{rounded(Fraction(part_fen, whole_fen) * 100, 1)}%" if whole_fen > 0 else None


def days_ago(days: int) -> tuple[str, str]:
    """How long ago, in Chinese and English."""
    if days <= 0:
        return "今天", "today"
    return f"{days}天前", "1 day ago" if days == 1 else f"{days} days ago"


def labour(on: Standing, _floors: Floors) -> tuple[str, str]:
    """That nobody in the household can work."""
    return f"全户{on.quantities.members}人均无劳动力", f"nobody of {on.quantities.members} members is able to work"
