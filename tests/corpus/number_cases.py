"""B23-B35: numbers that readers round, overflow or understand differently. Amounts are yuan; counts are whole."""

from tests.corpus.case import MALFORMED, STORED, Case, amount, invalid, of_type

_PLACE = "/data/self_pay_yuan"
_ONE_FOR_TRUE = of_type("disaster.natural", {"hazard": "flood", "water_failure": 1})


def _months(raw: str) -> bytes:
    return of_type("health.chronic_outpatient", {"monthly_self_pay_yuan": 600, "months": "@"}).replace(
        b'"@"', raw.encode()
    )


def _free(raw: str) -> bytes:
    """In a field that no model looks into."""
    return of_type("event.corrected", {"ref": "e-0", "payload": {"self_pay_yuan": "@"}}).replace(b'"@"', raw.encode())


CASES = (
    Case("B23", "NaN", amount("NaN"), MALFORMED),
    Case("B23", "-nan", amount("-nan"), MALFORMED),
    Case("B24", "Infinity", amount("Infinity"), MALFORMED),
    Case("B24", "inf in a free field", _free("Infinity"), MALFORMED),
    Case("B25", "-Infinity", amount("-Infinity"), MALFORMED),
    Case("B26", "1e400", amount("1e400"), invalid(_PLACE)),
    Case("B26", "1e400 in a free field", _free("1e400"), invalid("/data/payload/self_pay_yuan")),
    Case("B26", "1E3", amount("1E3"), invalid(_PLACE)),
    Case("B27", "-0, which is 0", amount("-0"), STORED),
    Case("B27", "-0.0", amount("-0.0"), invalid(_PLACE)),
    Case("B27", "-1", amount("-1"), invalid(_PLACE)),
    Case("B28", "5,000 digits", amount("9" * 5_000), MALFORMED),
    Case("B28", "19 digits", amount("1" * 19), MALFORMED),
    Case("B28", "leading zero", amount("01"), MALFORMED),
    Case("B28", "plus sign", amount("+1"), MALFORMED),
    Case("B28", "hexadecimal", amount("0x10"), MALFORMED),
    Case("B28", "no digit before the point", amount(".5"), MALFORMED),
    Case("B28", "no digit after the point", amount("5."), MALFORMED),
    Case("B28", "digits of another script", amount("٣"), MALFORMED),
    Case("B29", "2^53+1", amount("9007199254740993"), invalid(_PLACE)),
    Case("B29", "2^53+1 in a free field", _free("9007199254740993"), STORED),
    Case("B30", "2^63", amount("9223372036854775808"), MALFORMED),
    Case("B30", "2^31", amount("2147483648"), invalid(_PLACE)),
    Case("B30", "-2^31 in a free field", _free("-2147483648"), STORED),
    Case("B31", "1e-400", amount("1e-400"), invalid(_PLACE)),
    Case("B32", "the sum of 0.1 and 0.2", amount("0.30000000000000004"), invalid(_PLACE)),
    Case("B32", "a fraction", amount("12.50"), invalid(_PLACE)),
    Case("B32", "an exact amount with fen", amount('"0.30"'), STORED),
    Case("B32", "one fen below a threshold", amount('"19999.99"'), STORED),
    Case("B32", "the most that an amount may be", amount('"10000000.00"'), STORED),
    Case("B32", "one fen more than that", amount('"10000000.01"'), invalid(_PLACE)),
    Case("B32", "a tenth of a fen", amount('"12.505"'), invalid(_PLACE)),
    Case("B33", "text for a count", _months('"3"'), invalid("/data/months")),
    Case("B33", "text that is a form of amounts", amount('"12"'), STORED),
    Case("B33", "text with a comma", amount('"12,50"'), invalid(_PLACE)),
    Case("B33", "text with an exponent", amount('"1e3"'), invalid(_PLACE)),
    Case("B33", "text with a space", amount('" 12"'), invalid(_PLACE)),
    Case("B33", "text with a line feed", amount('"12\\n"'), invalid(_PLACE)),
    Case("B33", "text in full width", amount('"１２"'), invalid(_PLACE)),
    Case("B33", "text with an underscore", amount('"1_000"'), invalid(_PLACE)),
    Case("B33", "empty text", amount('""'), invalid(_PLACE)),
    Case("B34", "true for an amount", amount("true"), invalid(_PLACE)),
    Case("B34", "true for a count", _months("true"), invalid("/data/months")),
    Case("B34", "1 for true", _ONE_FOR_TRUE, invalid("/data/water_failure")),
    Case("B34", "null for an amount", amount("null"), invalid(_PLACE)),
    Case("B34", "an array for an amount", amount("[1]"), invalid(_PLACE)),
    Case("B35", "3.0 for a count", _months("3.0"), invalid("/data/months")),
    Case("B35", "3.0 for an amount", amount("60000.0"), invalid(_PLACE)),
    Case("B35", "3.0 in a free field", _free("3.0"), invalid("/data/payload/self_pay_yuan")),
)  # fmt: skip
