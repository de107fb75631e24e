"""The bodies of the corpus in one list. B71-B84 are below them: test_transport. B93-B100 are records: record_cases."""

from tests.corpus import byte_cases, json_cases, number_cases, render_cases, text_cases, time_and_domain_cases
from tests.corpus.case import Case, Elsewhere, Refused, Stored

CASES: tuple[Case, ...] = (
    *byte_cases.CASES,
    *number_cases.CASES,
    *json_cases.CASES,
    *text_cases.CASES,
    *time_and_domain_cases.CASES,
    *render_cases.CASES,
)
REFUSED = tuple(case for case in CASES if isinstance(case.expect, Refused))
ACCEPTED = tuple(case for case in CASES if isinstance(case.expect, Stored))
ELSEWHERE = tuple(case for case in CASES if isinstance(case.expect, Elsewhere))
