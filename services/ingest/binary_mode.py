"""Binary content mode: the attributes of an event in `ce-*` headers, its payload as the body.

Source: CloudEvents HTTP protocol binding 1.0.2, section 3.1. A header value may be a quoted string and is then
percent-decoded once; what is not UTF-8 after that is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from services.ingest.read_request import Headers
from shared.codec import MalformedJson, decode_json, encode_json, pointer
from shared.errors import Fault, RefusedRequest

PREFIX = "ce-"
# `data` is the body and `datacontenttype` the Content-Type; as headers they would be a second, other answer.
_NOT_AS_HEADERS = ("data", "data_base64", "datacontenttype")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PRINTABLE = re.compile(r"[ -~\t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def event_document(headers: Headers, payload: Any) -> dict[str, Any]:
    """Put an event's attributes and its decoded payload together as structured mode has them.

    Raises RefusedRequest (422) when a header cannot be read.
    """
    attributes: dict[str, str] = {}
    faults: list[Fault] = []
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        if not name.startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        value, trouble = _read(attribute, raw_value.decode("latin-1"), attributes)
        if trouble:
            faults.append(_header_fault(attribute, *trouble))
        else:
            attributes[attribute] = value
    if faults:
        raise RefusedRequest("invalid-event", faults=faults)
    return {**_clean(attributes), "data": payload}


def as_sent(faults: Sequence[Fault]) -> list[Fault]:
    """Say for a binary message where faults of the structured form are: in the body, or in which header."""
    return [_in_body(fault) or _header_fault(fault.pointer.lstrip("/"), fault.code, fault.detail) for fault in faults]


def _in_body(fault: Fault) -> Fault | None:
    at, _, rest = fault.pointer.removeprefix("/").partition("/")
    return replace(fault, pointer=f"/{rest}" if rest else "") if at == "data" else None


def _header_fault(attribute: str, code: str, detail: str) -> Fault:
    # The name is shown only if it looks like one: a caller may have put a person's particulars there.
    shown = pointer(attribute).lstrip("/")
    return Fault("", code, f"header {PREFIX}{shown}: {detail}")


def _read(attribute: str, value: str, known: dict[str, str]) -> tuple[str, tuple[str, str] | None]:
    if attribute in known:
        return "", ("duplicate_header", "give each header once")
    if attribute in _NOT_AS_HEADERS:
        return "", ("extra_forbidden", "this is not a header; the body and its Content-Type say it")
    value = value.strip(" \t")
    if not _PRINTABLE.fullmatch(value):
        return "", ("not_percent_encoded", "percent-encode what is not printable ASCII, as UTF-8")
    if value.startswith('"'):
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            return "", ("quoted_string", "close the quoted text, or send it percent-encoded without quotes")
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    if _ESCAPE.search(value):
        return "", ("percent_encoding", "write a percent sign as %25")
    try:
        return unquote_to_bytes(value).decode("utf-8"), None
    except UnicodeDecodeError:
        return "", ("percent_encoding", "percent-encode UTF-8")


def _clean(attributes: dict[str, str]) -> dict[str, Any]:
    """Hold the decoded texts to the same rules as those of a JSON body."""
    try:
        cleaned: dict[str, Any] = decode_json(encode_json(attributes))
    except MalformedJson as error:
        raise RefusedRequest("invalid-event", faults=as_sent([error.fault])) from None
    return cleaned
