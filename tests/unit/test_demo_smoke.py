"""What `make smoke` makes of its measurements."""

from dataclasses import replace

from deploy.local.smoke import Proof, lines_of
from deploy.local.smoke_round import Times

QUICK = Times(accepted=0.01, red=0.05, alert=0.08, mail=0.1, webhook=0.09)


def proof(*times: Times, left_behind: tuple[str, ...] = ()) -> Proof:
    return Proof(lines_of(times), left_behind, ready_seconds=12.0, seconds=20.0)


def test_the_middle_time_of_the_rounds_is_judged_and_the_slowest_is_shown() -> None:
    hiccup = replace(QUICK, red=1.5)
    made = proof(QUICK, hiccup, QUICK)
    assert made.passed
    assert [line.slowest_seconds for line in made.lines if line.name == "to red"] == [1.5]
    assert not proof(hiccup, hiccup, QUICK).passed


def test_each_time_has_its_own_limit() -> None:
    assert [line.limit_seconds for line in proof(QUICK).lines] == [0.1, 1.0, 2.0, 2.0]
    for slow in (replace(QUICK, accepted=0.1), replace(QUICK, mail=2.0), replace(QUICK, webhook=2.0)):
        assert not proof(slow).passed


def test_a_run_that_leaves_something_behind_has_not_passed() -> None:
    assert not proof(QUICK, left_behind=("process 7",)).passed
