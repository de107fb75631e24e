"""JSON itself: values that are JSON, values that are not, and what of it we do not take, each in a free field."""

from collections.abc import Iterator, Sequence

from tests.corpus.case import MALFORMED, STORED, Case, Expectation, invalid, of_type

_TAKEN = (
    b'""', b'"\\u0041"', b'"\\/"', b'"/"', b'"\\""', b'"\\\\"', b'"\\n"', b'"\\u000a"', b'"\\uD83D\\uDE00"',
    b'"\\u00e9"',
    b'"\xe4\xbd\x8f"', b'"\xf0\x9f\x98\x80"', b'"a"', b'" "', b'"//"', b'"/* */"', b'"[,]"', b'"\\u0022"',
    b'"\\u005C"',
    b"0", b"-0", b"-1", b"1", b"123456789012345678", b"true", b"false", b"null",
    b"[]", b"[ ]", b"[1]", b"[1,null]", b"[[]]", b'["a"]', b"[null, 1, \"1\", {}]", b"\t[\n1\r]",
    b"{}", b'{"":0}', b'{"a":[]}', b'{"a":{}}', b'{"a":1,"b":2}', b'{"\\u0061b":1}',
    b'{"x":["y"],"id":"z"}',
)  # fmt: skip
_FRACTIONS = (b"0.1", b"1e1", b"1E+2", b"-1.5", b"0e1", b"1.0", b"123.456e-789")
_NOT_TAKEN = (
    b'"\\u0000"', b'"\\t"', b'"\\b"', b'"\\f"', b'"\\r"', b'"\x7f"', b'"\\u2028"', b'"\\uFFFF"', b'"\\uDADA"',
    b'"\\uD888\\u1234"',
    b"1234567890123456789", b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b"[" * 15 + b"]" * 15,
)  # fmt: skip
_NO_JSON = (
    b"", b" ", b"a", b"'a'", b"`a`", b'"', b'"a', b'a"', b'"\\"', b'"\\', b'"\\x00"', b'"\\u"', b'"\\u00"',
    b'"\\u00G0"',
    b'"\\uD83D\\"', b'"\\a"', b'"\\\xe5"', b'"\n"', b'"\t"', b'"\x00"', b'"\x1f"', b'"a" "b"', b"\\u0022a\\u0022",
    b"+1", b"++1", b"-", b"--1", b"-a", b".1", b"1.", b"0.e1", b"1e", b"1e+", b"1eE2", b"01", b"-01", b"0x1",
    b"1_0", b"1 000",
    b"0b1", b"1f", b"1n", b"-Inf", b"Inf", b"NaN", b"-NaN", b"nan", b"Infinity", b"\xef\xbc\x91", b"1.2.3",
    b"1-1", b"$1", b"1%",
    b"True", b"TRUE", b"tru", b"truth", b"nul", b"None", b"undefined", b"fals",
    b"[", b"]", b"[1", b"1]", b"[1,]", b"[,1]", b"[,]", b"[1,,2]", b"[1 2]", b"[1:2]", b"[1;2]", b'["a"',
    b"[1}", b"[[1]", b"(1)",
    b"[...]", b"[-]", b"[1]x", b"[a]", b"[*]", b"<[]>", b"[\x0c1]", b"[\xc2\xa01]", b"[\xe2\x81\xa01]",
    b"[1]]", b"[#1]",
    b"{", b"}", b"{a:1}", b"{'a':1}", b"{1:1}", b"{null:1}", b"{[]:1}", b'{"a"}', b'{"a":}', b'{"a":1,}',
    b'{,"a":1}', b'{"a" 1}',
    b'{"a"=1}', b'{"a":1 "b":2}', b'{"a":1;"b":2}', b'{"a":1', b'{"a"', b'{"a":1]', b'{"a":1}}', b'{"a":1}#',
    b'{"a":1}/**/',
    b'{"a":/* */1}', b'{"a"://x\n1}', b"{...a}", b'{"a":a}', b'{"a":b"x"}', b'{"a":+1}', b'{"a"::1}',
    b'{{"a":1}}', b"{\"a\":'b'}",
    b"\xef\xbb\xbf1", b"\xff", b"\xe5", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"<x/>", b"a: 1", b"- 1",
    b"!!python/none", b"=1",
    b"new Date()", b"Math.PI", b"function(){}", b"__proto__", b"$(x)", b"${1}", b"{{1}}", b"%7B%7D", b"&quot;&quot;",
)  # fmt: skip


def _in_a_free_field(value: bytes) -> bytes:
    return of_type("event.corrected", {"ref": "e-0", "payload": {"x": "@"}}).replace(b'"@"', value)


def _all(group: str, values: Sequence[bytes], expect: Expectation) -> Iterator[Case]:
    for number, value in enumerate(values):
        # A value that opens or closes more than it should moves the end of the array around it.
        yield Case("JSON", f"{group} {number}", _in_a_free_field(value), expect, cuts=not set(value) & set(b'[]{}"\\'))


CASES = (
    *_all("taken", _TAKEN, STORED),
    *_all("fraction", _FRACTIONS, invalid("/data/payload/x")),
    *_all("not taken", _NOT_TAKEN, MALFORMED),
    *_all("no JSON", _NO_JSON, MALFORMED),
)
