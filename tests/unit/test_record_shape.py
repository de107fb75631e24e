"""A record in quarantine is shown to operators without what it says."""

import json

from services.scorer.record_shape import printable, shape_of

CANARY = "王小明 13800138000"


def test_a_value_is_shown_by_its_kind_and_length_and_a_known_key_by_its_name() -> None:
    event = {
        "type": "cn.shouwang.health.major_illness.v2",
        "subject": "H1",
        "data": {"self_pay_yuan": 60000, "note": CANARY, "seen": [True, None, CANARY]},
    }
    assert shape_of(json.dumps(event).encode()) == {
        "type": "cn.shouwang.health.major_illness.v2",
        "subject": "text of 2",
        "data": {
            "self_pay_yuan": "number",
            "note": f"text of {len(CANARY)}",
            "seen": ["true or false", "null", f"text of {len(CANARY)}"],
        },
    }


def test_nothing_of_a_person_gets_through_wherever_it_stands() -> None:
    for document in (
        CANARY,
        {CANARY: 1},
        {"13800138000": 1},
        {"type": CANARY},
        [[{"a": {CANARY: CANARY}}]],
        13800138000,
    ):
        shown = json.dumps(shape_of(json.dumps(document).encode()), ensure_ascii=False)
        assert "13800138000" not in shown and "小明" not in shown, document


def test_two_unknown_keys_of_one_length_stay_two() -> None:
    assert shape_of('{"甲":1,"乙":2}'.encode()) == {"(key 1, text of 1)": "number", "(key 2, text of 1)": "number"}


def test_bytes_that_are_not_json_or_nothing_at_all_are_said_to_be_so() -> None:
    assert shape_of(b"\x00\xff") == "2 bytes that are not JSON"
    assert shape_of(b"[" * 100_000) == "100000 bytes that are not JSON"
    assert shape_of(None) == "nothing"


def test_what_is_too_deep_or_too_long_is_cut() -> None:
    assert "entries, not shown" in json.dumps(shape_of(b"[" * 12 + b"]" * 12))
    assert shape_of(json.dumps(list(range(45))).encode())[-1] == "5 more"


def test_a_revealed_record_gives_no_command_to_a_terminal() -> None:
    assert printable(b"\x1b[2Jgone\x9b\xe7\x8e\x8b\n\xc2\x9b") == "\\x1b[2Jgone\\x9b王\n\\x9b"
