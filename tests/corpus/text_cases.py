"""B36-B50: what texts and ids are made of."""

import zlib
from collections.abc import Iterator, Mapping, Sequence

from tests.corpus import nasty_strings
from tests.corpus.case import (
    CANARY,
    GOOD,
    STORED,
    TOO_LARGE,
    Case,
    Expectation,
    enrolled,
    event,
    invalid,
    malformed_at,
    of_type,
)

_PERSON = "/data/person"


def _person(raw: str) -> bytes:
    """A pseudonym written with JSON's own escapes, as given."""
    return GOOD.replace(CANARY.encode(), raw.encode())


def _text(text: str) -> bytes:
    return of_type("work.wage_arrears", {"employer_ref": text})


def _alias(text: str) -> bytes:
    return enrolled(text, f"H-alias-{zlib.crc32(text.encode())}")


_LISTED = (
    Case("B36", "NUL in an id", GOOD.replace(b'"e-1"', b'"e\\u0000' + CANARY.encode() + b'"'), malformed_at("/id")),
    Case("B36", "NUL in a text", _person(f"{CANARY}\\u0000"), malformed_at(_PERSON)),
    Case("B36", "NUL in a key", GOOD.replace(b'"person"', b'"per\\u0000son"'), malformed_at("/data")),
    Case("B37", "high surrogate alone", _person("\\ud800"), malformed_at(_PERSON)),
    Case("B37", "low surrogate alone", _person("\\udfff"), malformed_at(_PERSON)),
    Case("B37", "high surrogate before a letter", _person("\\ud83dx"), malformed_at(_PERSON)),
    Case("B38", "surrogates swapped", _person("\\udc00\\ud800"), malformed_at(_PERSON)),
    Case("B38", "surrogates in order, escaped", _person("\\ud83d\\ude00"), STORED),
    Case("B39", "right-to-left override", _person(f"{CANARY}\\u202e"), malformed_at(_PERSON)),
    Case("B39", "direction isolate in an alias", _alias("张\u2067三"), malformed_at("/data/alias")),
    Case("B40", "zero-width joiner in an id", event(id="e\u200d1"), malformed_at("/id")),
    Case("B40", "zero-width space in a household", event(subject="H\u200b1"), malformed_at("/subject")),
    Case("B41", "Cyrillic letter in an id", event(id="\u0435-1"), invalid("/id")),
    Case("B41", "full-width letter in a household", event(subject="Ｈ-1"), invalid("/subject")),
    Case("B41", "full-width digit in a division", event(division="99010010120１"), invalid("/division")),
    Case("B41", "Cyrillic letter in a source", event(source="urn:\u0430pp"), invalid("/source")),
    Case("B41", "Kelvin sign in a source class", event(sourceclass="\u212a"), invalid("/sourceclass")),
    Case("B42", "30 marks on one letter", _text("Z" + "\u0336\u0315\u0321" * 10), malformed_at("/data/employer_ref")),
    Case("B42", "5 marks in an alias", _alias("a" + "\u0489" * 5), malformed_at("/data/alias")),
    Case("B42", "2 marks, as languages write them", _text("ế ǘ ồ"), STORED),
    Case("B43", "decomposed id", event(id="e\u0301"), invalid("/id")),
    Case("B43", "twins that differ by composition: composed", event(episode="住院é"), STORED),
    Case("B43", "twins that differ by composition: decomposed", event(episode="住院e\u0301"), STORED),
    Case("B44", "1 MiB of text", event(episode=CANARY * 104_858), TOO_LARGE),
    Case("B44", "5,000 characters", event(episode=CANARY * 500), malformed_at("/episode")),
    Case("B44", "201 characters", _text("x" * 201), invalid("/data/employer_ref")),
    Case("B44", "200 characters of four bytes", _text("𠮷" * 200), STORED),
    Case("B44", "65 characters of an episode", event(episode="x" * 65), invalid("/episode")),
    Case(
        "B44",
        "a text that composing makes three times as long",
        of_type("event.corrected", {"ref": "e-0", "payload": {"text": "\U0001d160" * 4_000}}),
        malformed_at("/data/payload/text"),
    ),
    Case("B45", "emoji as alias", _alias("😀🇨🇳👍🏽"), STORED),
    Case("B46", "rare Han of extensions A, B, E, G", _alias("㐀𠮷𫟼𬙊𰻞"), STORED),
    Case("B46", "rare Han with a variation selector", _alias("葛\U000e0100"), STORED),
    Case("B46", "Han of the private use area", _alias("\ue84d\ue863"), STORED),
    Case("B47", "telephone number in full width", _text("１３９１２３４５６７８"), invalid("/data/employer_ref")),
    Case("B47", "amount in full width", event(data={"self_pay_yuan": "６"}), invalid("/data/self_pay_yuan")),
    Case("B48", "CR LF and a mail header", _person("a\\r\\nBcc: x@x.invalid"), malformed_at(_PERSON)),
    Case("B48", "LF in an alias", _alias("张\nBcc: x"), invalid("/data/alias")),
    Case("B48", "CR in an episode", event(episode="a\rb"), malformed_at("/episode")),
    Case("B49", "leading =", _alias("=cmd|'/c calc'!A0"), STORED),
    Case("B49", "leading +", _alias("+1"), STORED),
    Case("B49", "leading -", _alias("-1+1|x"), STORED),
    Case("B49", "leading @", _alias("@SUM(1)"), STORED),
)


def _nasty(lists: Mapping[str, Sequence[str]], expect: Expectation) -> Iterator[Case]:
    for kind, texts in lists.items():
        for number, text in enumerate(texts):
            yield Case("B50", f"{kind} {number}", _text(text), expect)


CASES = (
    *_LISTED,
    *_nasty(nasty_strings.SOUND, STORED),
    *_nasty(nasty_strings.REFUSED, malformed_at("/data/employer_ref")),
)
