"""Lists of divisions, staff and duties: every faulty row is told with line, field and fix, and no value is repeated."""

import zipfile
from datetime import date, datetime, time

import pytest
from openpyxl import Workbook

from services.notifier.core.duty import Duty
from services.notifier.core.routing import StaffMember
from services.notifier.duty_imports import read_duties, read_holidays
from services.notifier.imports import read_divisions, read_staff
from services.notifier.sheets import MOST_UNPACKED_BYTES, FileRefused
from tests.fakes.notifier import COUNTY, DIVISIONS, SECRET, TOWNSHIP, VILLAGE

HEADER = "staff_id,name,role,division,email,webhook_url,webhook_secret"


def write(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "list.csv"
    file.write_bytes(text.encode(encoding))
    return file


def staff_of(tmp_path, *rows, header=HEADER, encoding="utf-8"):
    return read_staff(write(tmp_path, "\n".join([header, *rows]), encoding), DIVISIONS, allow_plain=False)


def faults_of(tmp_path, *rows, **options):
    with pytest.raises(FileRefused) as refused:
        staff_of(tmp_path, *rows, **options)
    return [str(fault) for fault in refused.value.faults]


def test_a_clean_list_is_read_also_with_the_mark_that_excel_puts_first(tmp_path):
    rows = [
        f"c-1,虚青山,cadre,{VILLAGE},c-1@staff.example,,",
        f"t-1,虚晓溪,township,{TOWNSHIP},,https://hooks.example/x,{SECRET}",
        f"d-1,值班员,duty_officer,{COUNTY},d-1@staff.example,,",
    ]
    for encoding in ("utf-8", "utf-8-sig"):
        people = staff_of(tmp_path, *rows, encoding=encoding)
        assert [person.staff_id for person in people] == ["c-1", "t-1", "d-1"]
        assert all(person.active for person in people)


def test_a_person_can_be_put_out_of_service(tmp_path):
    (person,) = staff_of(tmp_path, f"c-1,虚青山,cadre,{VILLAGE},a@b.example,,,no", header=HEADER + ",active")
    assert not person.active


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (f",虚青山,cadre,{VILLAGE},a@b.example,,", "staff_id"),
        (f"c 1,虚青山,cadre,{VILLAGE},a@b.example,,", "staff_id"),
        (f"c-1,,cadre,{VILLAGE},a@b.example,,", "name"),
        (f"c-1,虚青山,mayor,{VILLAGE},a@b.example,,", "role"),
        ("c-1,虚青山,cadre,9901,a@b.example,,", "division"),
        ("c-1,虚青山,cadre,990100101299,a@b.example,,", "division"),
        (f"c-1,虚青山,cadre,{TOWNSHIP},a@b.example,,", "division"),
        (f"c-1,虚青山,township,{VILLAGE},a@b.example,,", "division"),
        (f"c-1,虚青山,county,{TOWNSHIP},a@b.example,,", "division"),
        (f"c-1,虚青山,township,{COUNTY},a@b.example,,", "division"),
        (f"c-1,虚青山,cadre,{VILLAGE},,,", "email"),
        (f"c-1,虚青山,cadre,{VILLAGE},not-an-address,,", "email"),
        (f"c-1,虚青山,cadre,{VILLAGE},,http://hooks.example/,{SECRET}", "webhook_url"),
        (f"c-1,虚青山,cadre,{VILLAGE},,https://hooks.example/,", "webhook_secret"),
        (f"c-1,虚青山,cadre,{VILLAGE},a@b.example,,{SECRET}", "webhook_url"),
        (f"c-1,虚青山,cadre,{VILLAGE},,https://hooks.example/,whsec_!!", "webhook_secret"),
        (f"c-1,虚青山,cadre,{VILLAGE}", "row"),
    ],
)
def test_a_faulty_row_is_told_with_line_and_field(tmp_path, row, field):
    good = f"ok,虚青山,cadre,{VILLAGE},a@b.example,,"
    faults = faults_of(tmp_path, good, row)
    assert any(fault.startswith(f"line 3: {field}: ") for fault in faults), faults
    assert "mayor" not in str(faults)
    assert "not-an-address" not in str(faults)


def test_every_faulty_row_is_told_at_once(tmp_path):
    rows = [f"c-{number},虚青山,mayor,{VILLAGE},a@b.example,," for number in range(5)]
    assert [fault.partition(":")[0] for fault in faults_of(tmp_path, *rows)] == [f"line {n}" for n in range(2, 7)]


def test_the_same_person_twice_is_refused(tmp_path):
    row = f"c-1,虚青山,cadre,{VILLAGE},a@b.example,,"
    assert faults_of(tmp_path, row, row)[0].startswith("line 3: staff_id: ")


@pytest.mark.parametrize(
    ("text", "encoding", "start"),
    [
        ("staff_id,name\n", "utf-8", "line 1: role: "),
        (HEADER + ",mobile\n", "utf-8", "line 1: header: "),
        (HEADER + "\n", "utf-8", "line 1: file: "),
        ("", "utf-8", "line 1: staff_id: "),
        ("姓名\n虚\n", "gb18030", "line 1: file: "),
        (HEADER + '\n"open\n', "utf-8", "line 2: row: "),
        (HEADER + "\n\0", "utf-8", "line 1: file: "),
    ],
)
def test_a_file_that_is_not_such_a_list_says_how_to_mend_it(tmp_path, text, encoding, start):
    with pytest.raises(FileRefused) as refused:
        read_staff(write(tmp_path, text, encoding), DIVISIONS, allow_plain=False)
    assert any(str(fault).startswith(start) for fault in refused.value.faults), refused.value.faults


def test_divisions_are_checked_in_the_same_way(tmp_path):
    good = read_divisions(write(tmp_path, f"code,name\n{VILLAGE},某村\n\n{TOWNSHIP},一号乡\n"))
    assert good == {VILLAGE: "某村", TOWNSHIP: "一号乡"}
    with pytest.raises(FileRefused) as refused:
        read_divisions(write(tmp_path, f"code,name\n12,x\n{VILLAGE},\n{VILLAGE},某村\n"))
    assert [str(fault).split(": ")[:2] for fault in refused.value.faults] == [
        ["line 2", "code"],
        ["line 3", "name"],
        ["line 4", "code"],
    ]


def workbook(tmp_path, *rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = tmp_path / "list.xlsx"
    book.save(file)
    return file


def test_an_excel_file_is_read_like_a_csv_file_also_where_excel_took_codes_for_numbers(tmp_path):
    file = workbook(
        tmp_path,
        HEADER.split(","),
        ["c-1", "虚青山", "cadre", int(VILLAGE), "c-1@staff.example"],
        [],
        [7.0, "虚晓溪", "township", TOWNSHIP, "t-1@staff.example", None, None],
    )
    people = read_staff(file, DIVISIONS, allow_plain=False)
    assert [(person.staff_id, person.division) for person in people] == [("c-1", VILLAGE), ("7", TOWNSHIP)]


def test_faults_in_an_excel_file_are_told_with_the_row_that_excel_shows(tmp_path):
    good = ["c-1", "虚青山", "cadre", VILLAGE, "c-1@staff.example"]
    file = workbook(tmp_path, HEADER.split(","), good, [], ["c-2", "虚青山", "mayor", VILLAGE, "a@b.example"], [1] * 9)
    with pytest.raises(FileRefused) as refused:
        read_staff(file, DIVISIONS, allow_plain=False)
    assert [str(fault).partition(": give")[0] for fault in refused.value.faults] == ["line 4: role", "line 5: row"]


def test_a_file_that_only_bears_the_name_of_excel_says_how_to_mend_it(tmp_path):
    no_book = tmp_path / "no-book.xlsx"
    with zipfile.ZipFile(no_book, "w") as packed:
        packed.writestr("other.txt", "x")
    not_packed = tmp_path / "list.xlsx"
    not_packed.write_text(HEADER)
    for file in (no_book, not_packed):
        with pytest.raises(FileRefused, match="not an Excel file"):
            read_staff(file, DIVISIONS, allow_plain=False)


def test_a_file_that_unpacks_to_more_than_there_is_room_for_is_refused_unopened(tmp_path):
    file = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", bytes(MOST_UNPACKED_BYTES + 1))
    with pytest.raises(FileRefused, match="too large"):
        read_staff(file, DIVISIONS, allow_plain=False)


PEOPLE = {
    "t-1": StaffMember("t-1", "township", TOWNSHIP, ()),
    "d-1": StaffMember("d-1", "duty_officer", COUNTY, ()),
    "c-1": StaffMember("c-1", "cadre", VILLAGE, ()),
    "gone": StaffMember("gone", "township", TOWNSHIP, (), active=False),
}
DUTY_HEADER = "staff_id,from_day,to_day,from_time,to_time,weekdays,note"


def test_a_duty_list_is_read_with_the_post_of_each_person(tmp_path):
    rows = ["t-1,2026-03-02,2026-03-31,18:00,8:00,12345,夜班", "d-1,2026/3/7,2026/3/8,00:00,24:00,,"]
    night, weekend = read_duties(write(tmp_path, "\n".join([DUTY_HEADER, *rows])), PEOPLE)
    begins, ends = date(2026, 3, 2), date(2026, 3, 31)
    assert night.line == Duty("t-1", "township", TOWNSHIP, begins, ends, time(18), time(8), (1, 2, 3, 4, 5))
    assert night.note == "夜班"
    assert weekend.line == Duty("d-1", "duty_officer", COUNTY, date(2026, 3, 7), date(2026, 3, 8), time(), time())


def test_a_line_that_takes_the_place_of_others_says_so(tmp_path):
    rows = ["t-1,2026-03-02,2026-03-02,08:00,18:00,是", "t-1,2026-03-03,2026-03-03,08:00,18:00,"]
    text = "\n".join(["staff_id,from_day,to_day,from_time,to_time,override", *rows])
    assert [row.line.overrides for row in read_duties(write(tmp_path, text), PEOPLE)] == [True, False]
    with pytest.raises(FileRefused, match="line 2: override: give yes or no"):
        read_duties(write(tmp_path, text.replace("是", "perhaps")), PEOPLE)


def test_days_and_times_of_an_excel_duty_list_are_read_as_excel_keeps_them(tmp_path):
    row = ["t-1", datetime(2026, 3, 2), date(2026, 3, 3), time(18), time(8), 67]
    (read,) = read_duties(workbook(tmp_path, DUTY_HEADER.split(","), row), PEOPLE)
    assert read.line == Duty("t-1", "township", TOWNSHIP, date(2026, 3, 2), date(2026, 3, 3), time(18), time(8), (6, 7))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("nobody,2026-03-02,2026-03-31,18:00,08:00,,", "staff_id"),
        ("c-1,2026-03-02,2026-03-31,18:00,08:00,,", "staff_id"),
        ("gone,2026-03-02,2026-03-31,18:00,08:00,,", "staff_id"),
        ("t-1,02.03.2026,2026-03-31,18:00,08:00,,", "from_day"),
        ("t-1,2026-03-02,2026-02-30,18:00,08:00,,", "to_day"),
        ("t-1,2026-03-02,2026-03-01,18:00,08:00,,", "to_day"),
        ("t-1,2026-03-02,2026-03-31,25:00,08:00,,", "from_time"),
        ("t-1,2026-03-02,2026-03-31,18:00,8,,", "to_time"),
        ("t-1,2026-03-02,2026-03-31,18:00,08:00,1-5,", "weekdays"),
        ("t-1,2026-03-02,2026-03-31,18:00,08:00,11,", "weekdays"),
        ("t-1,2026-03-02,2026-03-31,18:00,08:00,," + "x" * 201, "note"),
    ],
)
def test_a_faulty_duty_line_is_told_with_its_field(tmp_path, row, field):
    with pytest.raises(FileRefused) as refused:
        read_duties(write(tmp_path, f"{DUTY_HEADER}\n{row}\n"), PEOPLE)
    assert [str(fault).split(": ")[:2] for fault in refused.value.faults] == [["line 2", field]]


def test_holidays_are_read_and_checked(tmp_path):
    days = read_holidays(write(tmp_path, "day,name,workday\n2026-10-01,国庆节,\n2026-10-10,调休,yes\n"))
    assert [(one.day, one.is_workday) for one in days] == [(date(2026, 10, 1), False), (date(2026, 10, 10), True)]
    with pytest.raises(FileRefused) as refused:
        read_holidays(write(tmp_path, "day,name,workday\n10-01,,maybe\n"))
    assert [fault.field for fault in refused.value.faults] == ["day", "name", "workday"]
