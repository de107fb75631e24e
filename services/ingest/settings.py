"""What ingest can be told."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.http.protocol_limits import HttpSettings


class IngestSettings(HttpSettings):
    """Settings of one ingest process."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_INGEST_", frozen=True, extra="ignore", populate_by_name=True)

    host: Annotated[str, Field(description="address that events are taken on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port that events are taken on; 0 = any free one")] = 8080
    publish_timeout_seconds: Annotated[
        float, Field(gt=0, le=30, description="how long the log may take to acknowledge before the answer is 503")
    ] = 2.0
    max_in_flight_bytes: Annotated[
        int,
        Field(ge=1_048_576, description="event bytes received and being put on the log at once; more is answered 503"),
    ] = 32 * 1_048_576
    max_in_flight_requests_per_key: Annotated[
        int, Field(ge=1, description="requests of one key served at once; more is answered 429")
    ] = 200
    recent_receipts: Annotated[
        int, Field(ge=0, le=1_000_000, description="receipts kept in memory to tell what became of an event")
    ] = 50_000
