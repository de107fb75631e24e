"""Whatever the bytes, the decoder takes and refuses what the plain one does, with the same code at the same place."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.codec import FROM_CLIENT, FROM_LOG, JsonFraction, Limits, MalformedJson, decode_json
from tests import reference_decoder
from tests.corpus import record_cases
from tests.corpus.generated import events, texts
from tests.corpus.table import CASES

MANY = settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
# Small, so that random documents meet them; whole documents keep to the real ones.
TIGHT = Limits(depth=3, keys=4)
JSON_SIGNS = st.sampled_from(
    [*'{}[]:,"\\ \n\t', "\\u0041", "\\ud83d", '"a"', '"a":', "1", "-", "1.5", "1e9", "NaN", "é", "e\u0301"]
)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=True), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=10,
)


def outcome(decode: Any, body: bytes, limits: Limits) -> object:
    try:
        return _comparable(decode(body, limits))
    except MalformedJson as error:
        return (error.fault.code, error.fault.pointer)
    except reference_decoder.Refused as refused:
        return (refused.code, refused.pointer)


def _comparable(value: object) -> object:
    """Types too: 1 is not True here, and one fraction is as good as another."""
    if isinstance(value, dict):
        return {key: _comparable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return "a fraction" if isinstance(value, JsonFraction) else (type(value), value)


def check(body: bytes, *limits: Limits) -> None:
    for one in limits:
        assert outcome(decode_json, body, one) == outcome(reference_decoder.decode, body, one)


@pytest.mark.parametrize("body", [*(case.body for case in CASES), *(case.value or b"" for case in record_cases.CASES)])
def test_the_corpus_is_decoded_alike(body: bytes) -> None:
    check(body, FROM_CLIENT, FROM_LOG)


@MANY
@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_documents_are_decoded_alike(document: object, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    check(body, FROM_CLIENT, TIGHT)


@MANY
@given(st.lists(JSON_SIGNS, max_size=14).map("".join))
def test_signs_in_any_order_are_decoded_alike(text: str) -> None:
    check(text.encode(), FROM_CLIENT, TIGHT)


@MANY
@given(events, st.booleans(), st.data())
def test_events_spoilt_at_any_byte_are_decoded_alike(
    event: dict[str, Any], ascii_only: bool, data: st.DataObject
) -> None:
    body = json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    place = data.draw(st.integers(0, len(body)))
    taken = data.draw(st.integers(0, 3))
    put = data.draw(st.one_of(st.binary(max_size=3), JSON_SIGNS.map(str.encode)))
    for spoilt in (body, body[:place] + put + body[place + taken :]):
        check(spoilt, FROM_CLIENT, FROM_LOG)
