"""An event as ingest writes it, known at a glance: what `EventMessage.to_bytes` makes, attribute for attribute.

A short cut and nothing more. One pattern says at once what decoder and envelope would find out one by one: that the
attributes are ours, each given once and well formed, and that no text among them needs cleaning. What the pattern does
not know, however sound it is, goes the whole way through `read_event`; what it knows, that way reads as the same.
"""

import re
from datetime import date, datetime
from typing import Any, NamedTuple, Self

from shared.clock import day_of
from shared.codec import FROM_LOG, Limits, MalformedJson, decode_json_text
from shared.events.household_event import SourceClass

_SOURCE_CLASSES = {one.value: one for one in SourceClass}
# No text here holds a quote, a backslash or anything that cannot be seen, so that each ends where it seems to end; no
# source a bracket, over which the standard library's reader of URIs could stumble; no day lies at the calendar's ends.
_INSTANT = r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)"
_WRITTEN = re.compile(
    r'\{"specversion":"1\.0",'
    r'"id":"([!#-\[\]-~]{1,64})",'
    r'"source":"([!#-Z^-~]{1,200})",'
    r'"type":"cn\.shouwang\.([a-z0-9_.]{1,60})\.v1",'
    r'"subject":"([A-Za-z0-9_-]{1,40})",'
    rf'"time":"{_INSTANT}",'
    r'"datacontenttype":"application/json",'
    r'(?:"traceparent":"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",)?'
    r'"division":"([0-9]{12})",'
    rf'"sourceclass":"({"|".join(_SOURCE_CLASSES)})",'
    r'(?:"episode":"([ !#-\[\]-~]{1,64})",)?'
    r'"data":(\{.*\}),'
    rf'"recordedat":"{_INSTANT}",'
    r'"keyid":"([A-Za-z0-9_]{1,40})"\}'
)
# The payload's share, with room for what stands around it.
_PAYLOAD = Limits(depth=FROM_LOG.depth - 1, keys=FROM_LOG.keys - 20)


class WrittenEvent(NamedTuple):
    """An event taken off the log at a glance. type: without prefix and version; time: as written, in UTC."""

    id: str
    source: str
    type: str
    household_id: str
    time: str
    division: str
    source_class: SourceClass
    episode: str | None
    payload: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime
    key_id: str

    @classmethod
    def read(cls, value: bytes) -> Self | None:
        """Take an event off the log; None unless it is written just as ingest writes."""
        try:
            found = _WRITTEN.fullmatch(value.decode())
            if found is None:
                return None
            event_id, source, kind, household_id, time, division, *others = found.groups()
            source_class, episode, payload, recorded_at, key_id = others
            return cls(
                event_id,
                source,
                kind,
                household_id,
                time,
                division,
                _SOURCE_CLASSES[source_class],
                episode,
                decode_json_text(payload, _PAYLOAD),
                datetime.fromisoformat(time),
                datetime.fromisoformat(recorded_at),
                key_id,
            )
        except (UnicodeDecodeError, MalformedJson, ValueError):
            return None  # read_event finds the same fault, and says what it is

    @property
    def occurred_on(self) -> date:
        """The Asia/Shanghai day on which it happened."""
        return day_of(self.occurred_at)

    def sent(self, canonical_payload: bytes) -> bytes:
        """All that the client sent, as canonical JSON; the whole way makes the same bytes out of the message."""
        episode = "" if self.episode is None else f'"episode":"{self.episode}",'
        return b'{"data":%b%b' % (
            canonical_payload,
            f',"datacontenttype":"application/json","division":"{self.division}",{episode}"id":"{self.id}",'
            f'"source":"{self.source}","sourceclass":"{self.source_class}","specversion":"1.0",'
            f'"subject":"{self.household_id}","time":"{self.time}","type":"cn.shouwang.{self.type}.v1"}}'.encode(),
        )
