"""How many records of a partition may be refused before it stops and a person is asked."""

from services.scorer.poison_limits import IN_A_ROW, MOST_IN_WINDOW, WINDOW, Refusals, limit_passed

LONG_AGO = Refusals(first_offset=0)
HERE = 5_000


def every(step: int, times: int, start: int = HERE) -> list[int]:
    return [start + step * at for at in range(times)]


def test_twenty_in_a_row_pass_the_limit_and_nineteen_do_not() -> None:
    young = Refusals(first_offset=HERE - 10)
    assert limit_passed(young, every(1, IN_A_ROW - 1)) is None
    passed = limit_passed(young, every(1, IN_A_ROW))
    assert passed == f"20 records in a row, up to offset {HERE + 19}, cannot be applied"


def test_one_good_record_ends_a_run() -> None:
    broken = [*every(1, 12), *every(1, 12, HERE + 13)]
    assert limit_passed(Refusals(first_offset=HERE), broken) is None


def test_a_run_goes_on_from_one_batch_to_the_next() -> None:
    before = Refusals(HERE).with_more(every(1, 15))
    assert limit_passed(before, every(1, 4, HERE + 15)) is None
    assert limit_passed(before, every(1, 5, HERE + 15)) is not None


def test_more_than_one_of_a_hundred_of_the_last_thousand_pass_the_limit() -> None:
    assert limit_passed(LONG_AGO, every(90, MOST_IN_WINDOW)) is None
    passed = limit_passed(LONG_AGO, every(90, MOST_IN_WINDOW + 1))
    assert passed == f"11 of the 1,000 records up to offset {HERE + 900} cannot be applied"
    assert limit_passed(LONG_AGO, every(100, 50)) is None, "ten in any thousand, for ever"


def test_a_share_is_not_worked_out_before_a_thousand_records_were_read() -> None:
    spread = every(80, MOST_IN_WINDOW + 1)
    assert limit_passed(Refusals(first_offset=spread[-1] - WINDOW + 2), spread) is None
    assert limit_passed(Refusals(first_offset=spread[-1] - WINDOW + 1), spread) is not None


def test_below_the_offset_that_an_operator_allowed_nothing_counts() -> None:
    poison = every(1, 500)
    assert limit_passed(LONG_AGO, poison, free_below=poison[-1] + 1) is None
    after = LONG_AGO.with_more(poison)
    assert limit_passed(after, [poison[-1] + 1], free_below=poison[-1] + 1) is None
    assert limit_passed(LONG_AGO, poison, free_below=poison[-1] + 1 - MOST_IN_WINDOW) is None
    assert limit_passed(LONG_AGO, poison, free_below=poison[-1] - MOST_IN_WINDOW) is not None


def test_what_no_limit_can_ask_for_any_more_is_forgotten() -> None:
    kept = Refusals(0).with_more([1, 2, 3, WINDOW + 2, 3])
    assert kept.offsets == (3, WINDOW + 2)
    assert Refusals(7).with_more([]) == Refusals(7)
