"""Who hears of an alert: division and role, stand-ins, and never anybody outside the division."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.core.routing import (
    NO_ROTA,
    RoutedAs,
    StaffMember,
    ancestors,
    duty_officers,
    known_division,
    prefix_of,
    reach_of,
    route,
)
from shared.alerts import ChannelName
from tests.fakes.notifier import COUNTY, NOW, OTHER_TOWNSHIP, OTHER_VILLAGE, PROVINCE, TOWNSHIP, VILLAGE

MAIL = (ChannelName.SMTP,)
RED = ("cadre", "grid", "village_team", "township", "county")
YELLOW = ("cadre", "grid")


def person(role, division=VILLAGE, staff_id=None, channels=MAIL):
    return StaffMember(staff_id or f"{role}@{division}", role, division, channels)


def told(division, roles, staff, rota=NO_ROTA, at=NOW):
    return route(division, roles, staff, at=at, rota=rota).recipients


EVERYBODY = [
    person("cadre"),
    person("grid"),
    person("village_team"),
    person("township", TOWNSHIP),
    person("county", COUNTY),
    person("duty_officer", COUNTY),
    person("cadre", OTHER_VILLAGE),
    person("township", OTHER_TOWNSHIP),
]


def ids(recipients):
    return {recipient.staff_id for recipient in recipients}


def test_a_red_alert_reaches_five_roles_each_at_its_own_level():
    recipients = told(VILLAGE, RED, EVERYBODY)
    assert ids(recipients) == {
        f"cadre@{VILLAGE}",
        f"grid@{VILLAGE}",
        f"village_team@{VILLAGE}",
        f"township@{TOWNSHIP}",
        f"county@{COUNTY}",
    }
    assert {recipient.routed_as for recipient in recipients} == {RoutedAs.ROLE}


def test_a_yellow_alert_reaches_cadre_and_grid_member():
    assert ids(told(VILLAGE, YELLOW, EVERYBODY)) == {f"cadre@{VILLAGE}", f"grid@{VILLAGE}"}


def test_a_role_at_another_level_does_not_count():
    misplaced = [person("cadre", TOWNSHIP), person("township", VILLAGE), person("county", TOWNSHIP)]
    assert told(VILLAGE, RED, misplaced) == ()


def test_the_township_stands_in_for_a_missing_cadre():
    staff = [person("grid"), person("township", TOWNSHIP), person("duty_officer", COUNTY)]
    recipients = {recipient.staff_id: recipient.routed_as for recipient in told(VILLAGE, YELLOW, staff)}
    assert recipients == {
        f"grid@{VILLAGE}": RoutedAs.ROLE,
        f"township@{TOWNSHIP}": RoutedAs.TOWNSHIP_STANDS_IN,
    }


def test_the_township_is_left_in_peace_while_the_cadre_hears():
    staff = [person("cadre"), person("township", TOWNSHIP)]
    assert ids(told(VILLAGE, YELLOW, staff)) == {f"cadre@{VILLAGE}"}


def test_without_anybody_the_nearest_duty_officers_hear_all_of_them():
    staff = [
        person("duty_officer", COUNTY, "near-1"),
        person("duty_officer", COUNTY, "near-2"),
        person("duty_officer", PROVINCE, "far"),
    ]
    recipients = told(VILLAGE, YELLOW, staff)
    assert ids(recipients) == {"near-1", "near-2"}
    assert {recipient.routed_as for recipient in recipients} == {RoutedAs.DUTY_OFFICER}


def test_people_who_cannot_be_reached_do_not_count_as_being_there():
    staff = [person("cadre", channels=()), person("duty_officer", PROVINCE, "duty")]
    assert ids(told(VILLAGE, YELLOW, staff)) == {"duty"}


def test_a_duty_officer_who_was_tried_already_is_not_tried_again():
    staff = [person("duty_officer", COUNTY, "tried"), person("duty_officer", PROVINCE, "next")]
    assert ids(duty_officers(VILLAGE, staff, at=NOW, without={"tried"})) == {"next"}


@pytest.mark.parametrize(
    ("code", "prefix"),
    [
        (VILLAGE, "990100101201"),
        ("990100101200", "990100101200"),
        (TOWNSHIP, "990100101"),
        ("522301000000", "522301"),
        ("522300000000", "5223"),
        ("990000000000", "99"),
    ],
)
def test_the_zero_tail_is_stripped_level_by_level(code, prefix):
    assert prefix_of(code) == prefix


def test_a_county_officer_never_sees_another_county_even_where_the_code_ends_in_zeros():
    assert reach_of("county", COUNTY) == "990100"
    assert reach_of("township", TOWNSHIP) == "990100101"
    assert reach_of("duty_officer", PROVINCE) == "99"


def test_an_unknown_division_is_routed_from_its_nearest_known_ancestor():
    unknown = "990100101999"
    assert known_division(unknown, {TOWNSHIP, COUNTY}) == TOWNSHIP
    assert known_division(unknown, {PROVINCE}) == PROVINCE
    assert known_division(unknown, set()) == unknown
    assert ids(told(TOWNSHIP, YELLOW, [person("township", TOWNSHIP)])) == {f"township@{TOWNSHIP}"}


codes = st.sampled_from(
    [VILLAGE, OTHER_VILLAGE, TOWNSHIP, OTHER_TOWNSHIP, COUNTY, PROVINCE, "990100101202", "990200101201", "980000000000"]
)
roles = st.sampled_from(["cadre", "grid", "village_team", "township", "county", "duty_officer"])


@given(
    division=codes.filter(lambda code: not code.endswith("000")),
    chosen=st.lists(roles.filter(lambda role: role != "duty_officer"), unique=True),
    posts=st.lists(st.tuples(roles, codes), max_size=12),
)
def test_nobody_outside_the_division_is_ever_told(division, chosen, posts):
    staff = [StaffMember(str(number), role, code, MAIL) for number, (role, code) in enumerate(posts)]
    by_id = {member.staff_id: member for member in staff}
    heard = [by_id[recipient.staff_id] for recipient in told(division, tuple(chosen), staff)]
    assert all(member.division in ancestors(division) for member in heard)
    assert len({member.staff_id for member in heard}) == len(heard)
    if any(member.role == "duty_officer" and member.division in ancestors(division) for member in staff):
        assert heard
