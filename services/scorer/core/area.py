"""Area detection: when many households of one village, township or county come to risk together.

Shares and expected onsets are exact; probabilities are worked out with 60 digits, so no comparison hangs on a float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from services.scorer.core.figures import rounded
from shared.policy import Area, AreaLevel

_DIGITS = 60


@dataclass(frozen=True, slots=True)
class AreaCount:
    """What was counted. at_risk: households whose held grade is orange or red; onsets: newly so in the last `days`.

    rate: the area's own onsets per day from its past; None = the policy's rate for its number of households.
    """

    level: AreaLevel
    households: int
    at_risk: int
    onsets: int
    days: int
    rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class AreaFinding:
    """What the counts say. p: chance of so many onsets without a cause; llr ranks bursts (0 = not above expected)."""

    tier: str | None
    share: Fraction
    expected: Fraction
    p: Decimal
    llr: Decimal
    burst: bool

    def result(self) -> dict[str, object]:
        """The finding in output formats, ready for JSON."""
        return {
            "tier": self.tier,
            "share": rounded(self.share, 4),
            "expected": rounded(self.expected, 3),
            "p": scientific(self.p),
            "llr": rounded(Fraction(self.llr), 2),
            "burst": self.burst,
        }


def assess_area(count: AreaCount, rules: Area) -> AreaFinding:
    """Find the share tier and any burst of one division; needs at least one household."""
    share = Fraction(count.at_risk, count.households)
    expected = _expected(count, rules)
    p = poisson_tail(count.onsets, expected)
    enough = count.onsets >= rules.least_onsets.at(count.level)
    return AreaFinding(
        tier=_tier(count, share, rules),
        share=share,
        expected=expected,
        p=p,
        llr=_log_likelihood_ratio(count.onsets, expected),
        burst=enough and Fraction(p) < rules.burst_p_below,
    )


def _tier(count: AreaCount, share: Fraction, rules: Area) -> str | None:
    if count.at_risk < rules.least_at_risk.at(count.level):
        return None
    for tier in sorted(rules.tiers, key=lambda tier: tier.share, reverse=True):
        if share >= tier.share:
            return tier.tier
    return None


def _expected(count: AreaCount, rules: Area) -> Fraction:
    if count.rate is not None:
        return count.rate * count.days
    return Fraction(count.households, 1000) * rules.onsets_per_1000_a_day * count.days


def poisson_tail(least: int, mean: Fraction) -> Decimal:
    """P(X >= least) for a Poisson variable."""
    if least <= 0:
        return Decimal(1)
    with localcontext(prec=_DIGITS):
        mu = _decimal(mean)
        if not mu:
            return Decimal(0)
        if least <= mean:
            return 1 - (-mu).exp() * _terms_below(least, mu)
        return (-mu).exp() * _terms_from(least, mu)


def _terms_below(least: int, mu: Decimal) -> Decimal:
    term = total = Decimal(1)
    for k in range(1, least):
        term = term * mu / k
        total += term
    return total


def _terms_from(least: int, mu: Decimal) -> Decimal:
    term = Decimal(1)
    for k in range(1, least + 1):
        term = term * mu / k
    total, k = term, least
    while term > total.scaleb(-_DIGITS):
        k += 1
        term = term * mu / k
        total += term
    return total


def _log_likelihood_ratio(onsets: int, expected: Fraction) -> Decimal:
    if onsets <= expected or not expected:
        return Decimal(0)
    with localcontext(prec=_DIGITS):
        mu, c = _decimal(expected), Decimal(onsets)
        return c * (c / mu).ln() - (c - mu)


def scientific(value: Decimal) -> str:
    """Write a probability as d.dde±xx."""
    if not value:
        return "0.00e+00"
    with localcontext(prec=_DIGITS):
        exponent = value.adjusted()
        digits = value.scaleb(-exponent).quantize(Decimal("0.01"), ROUND_HALF_UP)
        if digits >= 10:
            exponent, digits = exponent + 1, Decimal("1.00")
    return f"{digits}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


class SlowBurn(NamedTuple):
    """A CUSUM over daily onsets. alarm_day: index (from 0) of the first day at or above the alarm level."""

    k: Decimal
    path: tuple[Decimal, ...]
    alarm_day: int | None

    def result(self) -> dict[str, object]:
        """The finding in output formats, ready for JSON."""
        return {
            "k": float(rounded(Fraction(self.k), 3)),
            "path": [float(rounded(Fraction(step), 2)) for step in self.path],
            "alarm_day": self.alarm_day,
        }


def slow_burn(daily: Sequence[int], usual: Fraction, rules: Area) -> SlowBurn:
    """Watch for a lasting rise to `cusum_factor` times the usual daily onsets (> 0)."""
    with localcontext(prec=_DIGITS):
        low = _decimal(usual)
        high = low * _decimal(rules.cusum_factor)
        k = (high - low) / (high.ln() - low.ln())
        path, total = [], Decimal(0)
        for onsets in daily:
            total = max(Decimal(0), total + onsets - k)
            path.append(total)
        level = _decimal(rules.cusum_alarm)
    return SlowBurn(k, tuple(path), next((day for day, step in enumerate(path) if step >= level), None))


def explained_by_child(children: Mapping[str, int], rules: Area) -> str | None:
    """The one division below that makes up most of the onsets, if one does: then the division above is not raised."""
    return _dominant(children, rules.explained_by_child_share, strictly=True)


def dominant_cause(causes: Mapping[str, int], rules: Area) -> str | None:
    """The cause to label an alarm with, if one stands behind most of the onsets."""
    return _dominant(causes, rules.dominant_cause_share, strictly=False)


def _dominant(counts: Mapping[str, int], share: Fraction, *, strictly: bool) -> str | None:
    total = sum(counts.values())
    if not total:
        return None
    name, most = max(sorted(counts.items()), key=lambda pair: pair[1])
    found = Fraction(most, total)
    return name if found > share or (found == share and not strictly) else None


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
