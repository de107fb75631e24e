"""The corpus is whole: every number has a case or says why it has none."""

import re
from pathlib import Path

from tests.corpus import record_cases
from tests.corpus.table import ACCEPTED, CASES, ELSEWHERE, REFUSED

ALL = {f"B{number}" for number in range(1, 101)}
TRANSPORT = {f"B{number}" for number in range(71, 85)}


def codes_in(text: str) -> set[str]:
    """Every number that stands alone in a text."""
    return set(re.findall(r"\bB\d{1,3}\b", text))


def test_every_number_of_the_corpus_has_a_case() -> None:
    bodies = {case.code for case in CASES} - {"JSON"}
    records = {case.code for case in record_cases.CASES}
    transport = codes_in(Path(__file__).with_name("test_transport.py").read_text(encoding="utf-8"))
    assert bodies | records | TRANSPORT == ALL
    assert bodies.isdisjoint(records | TRANSPORT)
    assert transport >= TRANSPORT


def test_no_case_stands_here_twice() -> None:
    assert len({str(case) for case in CASES}) == len(CASES)
    assert len({(case.body, case.as_key) for case in REFUSED}) >= len(REFUSED) - 10
    assert len(REFUSED) > 350
    assert len(ACCEPTED) > 200
    assert all(case.expect.how for case in ELSEWHERE)  # type: ignore[union-attr]
