"""B1-B22: what the bytes are, and how the document is built."""

from tests.corpus.case import (
    CANARY,
    GOOD,
    MALFORMED,
    STORED,
    TOO_LARGE,
    Case,
    Elsewhere,
    Refused,
    event,
    invalid,
    of_type,
)

_TEXT = GOOD.decode()
_OPEN = GOOD[:-1]
_PHOTOS = of_type("survey.visit", {"photo_refs": []})
_TWICE = b'"id":"' + CANARY.encode() + b'"'


def _keys(count: int) -> bytes:
    return event(data={f"k{number}": 1 for number in range(count)})


def _nested(levels: int) -> bytes:
    inner = b'{"a":' * levels + b"1" + b"}" * levels
    return of_type("event.corrected", {"ref": "e", "payload": "@"}).replace(b'"@"', inner)


BYTES = (
    Case("B1", "empty", b"", MALFORMED),
    Case("B2", "white space", b" \t\r ", MALFORMED),
    Case("B2", "no-break space", "\u00a0".encode(), MALFORMED),
    Case("B3", "UTF-8 byte order mark", b"\xef\xbb\xbf" + GOOD, MALFORMED),
    Case("B4", "UTF-16, little end first", _TEXT.encode("utf-16-le"), MALFORMED, cuts=False),
    Case("B4", "UTF-16, little end first, with mark", b"\xff\xfe" + _TEXT.encode("utf-16-le"), MALFORMED, cuts=False),
    Case("B5", "UTF-16, big end first", _TEXT.encode("utf-16-be"), MALFORMED, cuts=False),
    Case("B5", "UTF-32, big end first", _TEXT.encode("utf-32-be"), MALFORMED, cuts=False),
    Case("B6", "Latin-1", event(episode="é").decode().encode("latin-1"), MALFORMED),
    # Some words cannot be told apart: the GBK bytes of others are sound UTF-8 too.
    Case("B7", "GBK", event(episode="贫困户").decode().encode("gbk"), MALFORMED),
    Case("B7", "GB18030 of four bytes", event(episode="𠮷").decode().encode("gb18030"), MALFORMED),
    Case("B8", "overlong slash", GOOD.replace(b"H-1", b"H\xc0\xaf1"), MALFORMED),
    Case("B8", "overlong quote", GOOD.replace(b"H-1", b"H\xc0\xa2,1"), MALFORMED),
    Case(
        "B8",
        "a surrogate pair as two characters (CESU-8)",
        GOOD.replace(b"H-1", b"H\xed\xa0\x80\xed\xb0\x80"),
        MALFORMED,
    ),
    Case("B8", "beyond Unicode", GOOD.replace(b"H-1", b"H\xf4\x90\x80\x80"), MALFORMED),
    Case("B9", "a character cut short at the end", _OPEN + b',"episode":"\xe5\xae', MALFORMED, cuts=False),
    Case("B9", "a character cut short inside", GOOD.replace(b"H-1", b"H\xe5\xae"), MALFORMED),
    Case("B10", "stray continuation byte", GOOD.replace(b"H-1", b"H\x80"), MALFORMED),
    Case("B10", "NUL between tokens", GOOD.replace(b", ", b",\x00"), MALFORMED),
)
STRUCTURE = (
    Case("B11", "cut at every byte", b"", Elsewhere("test_refused: every length, on one connection")),
    Case("B11", "cut before its end", _OPEN, MALFORMED, cuts=False),
    Case("B12", "trailing comma in an object", _OPEN + b",}", MALFORMED),
    Case("B12", "trailing comma in an array", _PHOTOS.replace(b"[]", b'["a",]'), MALFORMED),
    Case("B12", "comma doubled", GOOD.replace(b", ", b",,", 1), MALFORMED),
    Case("B13", "trailing text", GOOD + b"x", MALFORMED),
    Case("B13", "one brace too many", GOOD + b"}", MALFORMED, cuts=False),
    Case("B14", "two documents", GOOD + b" " + GOOD, MALFORMED),
    Case("B15", "100,000 open arrays", b"[" * 100_000, TOO_LARGE, cuts=False),
    Case("B15", "60,000 open arrays", b"[" * 60_000, MALFORMED, cuts=False),
    Case("B15", "10,000 arrays, closed", b"[" * 10_000 + b"]" * 10_000, MALFORMED),
    Case("B15", "escaped quotes that nobody closes", b'["' + b'\\"' * 32_000, MALFORMED, cuts=False),
    Case("B16", "900 levels in a free field", _nested(900), MALFORMED),
    Case("B16", "15 levels in a free field", _nested(15), MALFORMED),
    Case("B16", "4 levels, more than any payload has", _nested(4), invalid("/data/payload/a/a/a")),
    Case("B16", "3 levels", _nested(3), STORED),
    Case("B17", "a number", b"1", Refused(422, "invalid-event")),
    Case("B17", "null", b"null", Refused(422, "invalid-event")),
    Case("B17", "true", b"true", Refused(422, "invalid-event")),
    Case("B17", "a text", b'"' + CANARY.encode() + b'"', Refused(422, "invalid-event")),
    Case("B17", "an empty object", b"{}", invalid("/id")),
    Case("B18", "an event in an array", b"[" + GOOD + b"]", Refused(422, "invalid-event")),
    Case("B18", "an empty array", b"[]", Refused(422, "invalid-event")),
    Case("B19", "id given twice", _OPEN + b"," + _TWICE + b"}", MALFORMED),
    Case("B19", "an amount given twice", GOOD.replace(b'"person"', b'"self_pay_yuan": 1, "person"'), MALFORMED),
    Case("B20", "id given twice, once escaped", _OPEN + b"," + _TWICE.replace(b"id", b"\\u0069d") + b"}", MALFORMED),
    Case("B20", "a key composed and decomposed", event(data={"é": 1, "e\u0301": 2}), MALFORMED),
    Case("B21", "100,000 keys", _keys(100_000), TOO_LARGE),
    Case("B21", "5,000 keys", _keys(5_000), MALFORMED),
    Case("B21", "200 keys in all and one more", _keys(192), MALFORMED),
    Case("B22", "comment", b"/* " + CANARY.encode() + b" */" + GOOD, MALFORMED),
    Case("B22", "line comment", GOOD + b" // " + CANARY.encode(), MALFORMED),
    Case("B22", "hash comment", b"# x\r" + GOOD, MALFORMED),
)  # fmt: skip
CASES = (*BYTES, *STRUCTURE)
