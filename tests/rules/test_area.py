"""Area detection beyond the published cases."""

from decimal import Decimal
from fractions import Fraction
from math import exp, factorial

import pytest

from services.scorer.core.area import (
    AreaCount,
    assess_area,
    dominant_cause,
    explained_by_child,
    poisson_tail,
    scientific,
    slow_burn,
)
from shared.policy import default_policies

RULES = default_policies().versions[0].area


def test_a_township_with_a_tenth_at_risk_is_a_warning_and_a_burst() -> None:
    finding = assess_area(AreaCount("township", 6000, 700, 40, 14), RULES)
    assert (finding.tier, finding.result()["expected"], finding.burst) == ("warning", "5.880", True)


def test_a_township_with_ordinary_onsets_is_nothing() -> None:
    finding = assess_area(AreaCount("township", 6000, 260, 12, 14), RULES)
    assert (finding.tier, finding.burst) == (None, False)
    assert finding.result()["p"] == "1.75e-02"


@pytest.mark.parametrize(("level", "least"), [("village", 5), ("township", 20), ("county", 100)])
def test_a_share_counts_only_from_enough_households(level: str, least: int) -> None:
    for at_risk, tier in ((least, "large_scale"), (least - 1, None)):
        assert assess_area(AreaCount(level, least, at_risk, 0, 7), RULES).tier == tier  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at_risk", "tier"), [(199, "warning"), (200, "large_scale"), (100, "warning"), (50, "watch"), (49, None)]
)
def test_a_tier_begins_exactly_at_its_share(at_risk: int, tier: str | None) -> None:
    assert assess_area(AreaCount("village", 1000, at_risk, 0, 7), RULES).tier == tier


@pytest.mark.parametrize(("least", "mean"), [(0, "1"), (1, "0.5"), (3, "0.392"), (5, "7.5"), (12, "5.88"), (40, "60")])
def test_the_tail_is_that_of_poisson(least: int, mean: str) -> None:
    mu = float(Fraction(mean))
    below = sum(exp(-mu) * mu**k / factorial(k) for k in range(least))
    assert float(poisson_tail(least, Fraction(mean))) == pytest.approx(1 - below, rel=1e-9, abs=1e-12)


def test_an_area_without_any_expected_onset_is_surprised_by_the_first() -> None:
    assert poisson_tail(1, Fraction(0)) == 0 and scientific(Decimal(0)) == "0.00e+00"


@pytest.mark.parametrize(
    ("value", "written"),
    [("1", "1.00e+00"), ("0.09996", "1.00e-01"), ("1.235e-7", "1.24e-07"), ("2.5e-123", "2.50e-123")],
)
def test_probabilities_are_written_with_a_signed_exponent(value: str, written: str) -> None:
    assert scientific(Decimal(value)) == written


@pytest.mark.parametrize(("onsets", "burst"), [(2, False), (3, True)])
def test_a_burst_needs_its_least_number_of_onsets(onsets: int, burst: bool) -> None:
    finding = assess_area(AreaCount("village", 20, 0, onsets, 7), RULES)
    assert finding.p < Decimal("0.0001") and finding.burst is burst


def test_no_ratio_when_onsets_are_not_above_what_is_expected() -> None:
    assert assess_area(AreaCount("county", 100_000, 0, 40, 7), RULES).llr == 0


def test_a_slow_burn_that_never_alarms_has_no_day() -> None:
    assert slow_burn([0, 1, 0], Fraction(1), RULES).result()["alarm_day"] is None


def test_a_county_is_not_raised_for_what_one_village_explains() -> None:
    assert explained_by_child({"v1": 61, "v2": 39}, RULES) == "v1"
    assert explained_by_child({"v1": 60, "v2": 40}, RULES) is None


def test_an_alarm_is_labelled_with_a_cause_behind_most_of_it() -> None:
    assert dominant_cause({"disaster": 60, "illness": 40}, RULES) == "disaster"
    assert dominant_cause({"disaster": 59, "illness": 41}, RULES) is None
    assert dominant_cause({}, RULES) is None
