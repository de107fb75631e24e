"""Lists of divisions and staff: every faulty row is told with line, field and fix, and no value is repeated."""

import pytest

from services.notifier.imports import FileRefused, read_divisions, read_staff
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
