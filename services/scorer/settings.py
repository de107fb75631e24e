"""What the scorer can be told."""

from typing import Annotated

from pydantic import DirectoryPath, Field
from pydantic_settings import SettingsConfigDict

from shared.http.protocol_limits import HttpSettings


class ScorerSettings(HttpSettings):
    """Settings of one scorer process."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_SCORER_", frozen=True, extra="ignore", populate_by_name=True)

    host: Annotated[str, Field(description="address that health and metrics are served on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="port that health and metrics are served on")] = 8081
    instance: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,40}$",
            description="fixed name of this replica (static group membership): a restart then moves no partitions",
        ),
    ] = None
    batch_records: Annotated[int, Field(ge=1, le=10_000, description="most records applied in one transaction")] = 2_000
    midnight_grace_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="how long the timers of a new day wait, so that the last events of the old day come first",
        ),
    ] = 10.0
    overtake_after_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=86_400,
            description="how long the next event in turn may have waited before fresh serious events go ahead of it",
        ),
    ] = 30.0
    policies: Annotated[
        DirectoryPath | None,
        Field(description="folder of policy files; without it the national default that ships with Shouwang"),
    ] = None


class CommandSettings(ScorerSettings):
    """Settings of the commands that need no log."""

    kafka_bootstrap_servers: str = "not needed"
