"""The strict decoder refuses every document that two readers could understand differently."""

import pytest

from shared.codec import (
    FROM_CLIENT,
    JsonFraction,
    MalformedJson,
    canonical_json,
    decode_json,
    fraction_at,
    pointer,
    split_array,
    split_lines,
)

REFUSED = {
    "empty": (b"", "empty"),
    "only white space": (b" \n\t ", "empty"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte_order_mark"),
    "UTF-16, little end first": ('{"a":1}'.encode("utf-16-le"), "not_json"),
    "UTF-16 with its mark": ('{"a":1}'.encode("utf-16"), "byte_order_mark"),
    "GBK": ('{"a":"贫困户"}'.encode("gbk"), "not_utf8"),
    "overlong UTF-8": (b'{"a":"\xc0\xaf"}', "not_utf8"),
    "cut in the middle of a character": ('{"a":"贫'.encode()[:-1], "not_utf8"),
    "cut off": (b'{"a":1', "not_json"),
    "trailing comma": (b'{"a":1,}', "not_json"),
    "two documents": (b"{}{}", "not_json"),
    "comment": (b'{"a":1}//', "not_json"),
    "a key twice": (b'{"a":1,"a":1}', "duplicate_key"),
    "a key twice, once escaped": (b'{"a":1,"\\u0061":1}', "duplicate_key"),
    "a key twice, composed and decomposed": ('{"é":1,"e\u0301":1}'.encode(), "duplicate_key"),
    "not a number": (b'{"a":NaN}', "not_finite"),
    "infinite": (b'{"a":-Infinity}', "not_finite"),
    "a very long number": (b'{"a":' + b"9" * 5000 + b"}", "number_too_long"),
    "lone surrogate": (b'{"a":"\\ud800"}', "forbidden_character"),
    "surrogates the wrong way round": (b'{"a":"\\udc00\\ud800"}', "forbidden_character"),
    "NUL": (b'{"a":"\\u0000"}', "forbidden_character"),
    "text turned around": (b'{"a":"\\u202e"}', "forbidden_character"),
    "zero-width joiner": (b'{"a":"\\u200d"}', "forbidden_character"),
    "carriage return": (b'{"a":"x\\r\\nBcc: y"}', "forbidden_character"),
    "forbidden character in a key": (b'{"\\u0007":1}', "forbidden_character"),
    "100,000 open arrays": (b"[" * 100_000, "too_deep"),
    "an object too deep": (b'{"a":' * 900 + b"1" + b"}" * 900, "too_deep"),
    "too many keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(10_000)) + b"}", "too_many_keys"),
    "a long text": (b'"' + b"x" * 10_000 + b'"', "text_too_long"),
}


@pytest.mark.parametrize("body, code", REFUSED.values(), ids=REFUSED.keys())
def test_an_ambiguous_document_is_refused_with_its_reason(body: bytes, code: str) -> None:
    with pytest.raises(MalformedJson) as refused:
        decode_json(body)
    assert refused.value.fault.code == code


def test_every_truncation_of_a_document_is_refused() -> None:
    body = '{"a":[1,"贫困",{"b":null}],"c":true}'.encode()
    for length in range(len(body)):
        with pytest.raises(MalformedJson):
            decode_json(body[:length])


def test_text_comes_out_in_normal_form_and_rare_characters_stay() -> None:
    assert decode_json('{"a":"e\u0301","b":"𠮷😀","c":"x\\ny"}'.encode()) == {"a": "é", "b": "𠮷😀", "c": "x\ny"}


def test_a_fraction_is_no_number_of_ours() -> None:
    document = decode_json(b'{"a":3.0,"b":1e3,"c":-0.0,"d":1e400}')
    assert all(isinstance(value, JsonFraction) for value in document.values())


def test_a_fraction_is_found_wherever_it_hides() -> None:
    assert fraction_at(decode_json(b'{"a":[{"b":1},{"b":[2,0.5]}]}')) == "/a/1/b/1"
    assert fraction_at(decode_json(b'{"a":[{"b":1},"0.5",null]}')) is None


def test_depth_counts_brackets_in_documents_not_in_text() -> None:
    assert decode_json(b'{"a":"' + b"[" * 100 + b'"}') == {"a": "[" * 100}
    assert decode_json(b"[" * FROM_CLIENT.depth + b"]" * FROM_CLIENT.depth)


def test_equal_documents_have_equal_canonical_bytes() -> None:
    assert canonical_json({"b": 1, "a": "贫"}) == canonical_json({"a": "贫", "b": 1}) == '{"a":"贫","b":1}'.encode()


def test_a_pointer_escapes_nothing_that_a_caller_may_have_hidden_in_a_key() -> None:
    assert pointer("data", 3, "self_pay_yuan") == "/data/3/self_pay_yuan"
    assert pointer("data", "110101199003070000") == "/data/?"
    assert pointer("张三") == "/?"


def test_an_array_is_cut_into_its_items_without_reading_them() -> None:
    assert split_array(b' [ {"a":[1,{}]} ,{"b":"],["}, tru ] ') == [b'{"a":[1,{}]}', b'{"b":"],["}', b"tru"]
    assert split_array(b"[]") == []


@pytest.mark.parametrize("body", [b"{}", b"[1,2", b"[1]]", b"[1]x", b"[}", b"", b"1"])
def test_what_is_not_one_array_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        split_array(body)


def test_lines_are_documents_and_blank_lines_are_none() -> None:
    assert list(split_lines(b'{"a":1}\r\n\n  {"b":2}')) == [b'{"a":1}', b'{"b":2}']
