"""Settings: one frozen object per service, read once from the environment, every fault told at once.

Each service's own `settings.py` derives from `ServiceSettings`. `DATABASE_URL` and `KAFKA_BOOTSTRAP_SERVERS` have no
prefix because other programs know them under these names; all else begins with `SHOUWANG_`.
"""

import sys
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SettingsType = TypeVar("SettingsType", bound="ServiceSettings")


class ServiceSettings(BaseSettings):
    """What every service needs to know."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, str_strip_whitespace=True)

    environment: Annotated[
        Literal["development", "production"],
        Field(
            validation_alias="SHOUWANG_ENVIRONMENT",
            description="production refuses settings that are only safe on a desk",
        ),
    ] = "development"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Field(validation_alias="SHOUWANG_LOG_LEVEL", description="least severity that is logged"),
    ] = "INFO"
    database_url: Annotated[
        SecretStr,
        Field(
            validation_alias=AliasChoices("database_url", "DATABASE_URL"),
            description="postgresql://user:password@host:port/name",
        ),
    ]
    database_pool_size: Annotated[
        int,
        Field(ge=1, le=100, validation_alias="SHOUWANG_DATABASE_POOL_SIZE", description="connections kept per process"),
    ] = 8
    database_statement_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            validation_alias="SHOUWANG_DATABASE_STATEMENT_TIMEOUT_SECONDS",
            description="PostgreSQL ends longer statements",
        ),
    ] = 30.0
    kafka_bootstrap_servers: Annotated[
        str,
        Field(
            min_length=1,
            validation_alias=AliasChoices("kafka_bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
            description="host:port, several with commas",
        ),
    ]

    kafka_topic_prefix: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9-]+\.)?$",
            validation_alias=AliasChoices("kafka_topic_prefix", "KAFKA_TOPIC_PREFIX"),
            description="put before every topic and group name, such as `county7.`, on a cluster that others use too",
        ),
    ] = ""

    reconcile_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=60,
            validation_alias="SHOUWANG_RECONCILE_SECONDS",
            description="how often a service compares what it has with what must be there",
        ),
    ] = 20.0

    @field_validator("database_url")
    @classmethod
    def _driver_is_asyncpg(cls, value: SecretStr) -> SecretStr:
        return SecretStr(asyncpg_url(value.get_secret_value()))


def asyncpg_url(url: str) -> str:
    """Spell the driver out: a bare postgresql:// means another driver to SQLAlchemy. Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise ValueError("must look like postgresql://user:password@host:port/name")
    return f"postgresql+asyncpg://{rest}"


def load_settings(settings: type[SettingsType], **values: Any) -> SettingsType:
    """Read the settings from the environment, or end the program with every fault listed (exit status 2)."""
    try:
        return settings(**values)
    except ValidationError as error:
        sys.stderr.write("The settings are not complete; mend these environment variables:\n")
        for found in error.errors(include_input=False):
            sys.stderr.write(f"  {_variable(settings, found['loc'])}: {found['msg']}\n")
        raise SystemExit(2) from None


def variable_names(settings: type[ServiceSettings]) -> dict[str, str]:
    """Map each field to its environment variable; `.env.example` is checked against this."""
    return {name: _variable(settings, (name,)) for name in settings.model_fields}


def _variable(settings: type[ServiceSettings], location: tuple[str | int, ...]) -> str:
    if not location:
        return "settings"
    name = str(location[0])
    declared = settings.model_fields.get(name)
    if declared is None:
        return name.upper()
    alias = declared.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[-1])
    if isinstance(alias, str):
        return alias
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()
