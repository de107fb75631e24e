"""What a client can learn about the event types: the list, and the JSON Schema of each."""

from collections.abc import Mapping

from services.ingest.answers import EventTypeList, EventTypeRow
from shared.codec import encode_json
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import wire_type
from shared.events.schemas import event_schema, example_event

PATH = "/v1/event-types"


class EventTypePages:
    """The answers as bytes, built once: they do not change while the process lives."""

    def __init__(self) -> None:
        rows = [
            EventTypeRow(
                type=name,
                wire_type=wire_type(name),
                name_zh=event_type.name_zh,
                name_en=event_type.name_en,
                schema_url=f"{PATH}/{name}",
                example=example_event(event_type),
            )
            for name, event_type in EVENT_TYPES.items()
        ]
        self.listing: bytes = EventTypeList(items=rows).model_dump_json(by_alias=True).encode()
        self.schemas: Mapping[str, bytes] = {
            name: encode_json(event_schema(event_type)) for name, event_type in EVENT_TYPES.items()
        }
