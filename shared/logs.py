"""Logs: one JSON object a line on stdout, fixed text plus fields, no personal data.

`redact` is the last line of defence, not the first: who logs names ids and codes only.
"""

import logging
import re
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

SPARING_SECONDS = 10.0
_FORBIDDEN_FIELDS = frozenset(
    {"name", "phone", "payload", "body", "data", "address", "password", "secret", "token", "key", "email"}
)
# An 18-digit identity number or an 11-digit mobile number, wherever it stands.
_PERSONAL_NUMBER = re.compile(r"(?<!\d)(\d{17}[\dXx]|1\d{10})(?!\d)")


def redact(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace fields that may hold personal data, and identity or phone numbers inside any text."""
    for field, value in entry.items():
        if field in _FORBIDDEN_FIELDS:
            entry[field] = "[redacted]"
        elif isinstance(value, str):
            entry[field] = _PERSONAL_NUMBER.sub("[redacted]", value)
    return entry


class Sparing(logging.Filter):
    """Lets each text of a talkative library through at most once in ten seconds.

    While Kafka is away aiokafka repeats itself many times a second, on every connection.
    """

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library
        self._told_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is to be written."""
        if record.name.partition(".")[0] != self._library:
            return True
        key, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._told_at.get(key, -SPARING_SECONDS) < SPARING_SECONDS:
            return False
        self._told_at[key] = now
        return True


def configure_logs(service: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's records to stdout as JSON, marked with the service's name."""
    shared_steps: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ExtraAdder(),
        _add_service(service),
        _drop_terminal_colours,
        redact,
    ]
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(Sparing("aiokafka"))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_steps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # One line per request and per Kafka heartbeat drowns what matters; metrics count both.
    for noisy in ("uvicorn.access", "aiokafka", "kafka", "httpx2", "httpcore2", "mail.log", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared_steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def log_beside_answers() -> None:
    """Write a command's logs to stderr: its stdout is its answer, which a program may read."""
    # Asked for anew each time: who runs commands within a program of his own may have put another stream in its place.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _drop_terminal_colours(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # uvicorn adds a second, coloured copy of its text for terminals.
    entry.pop("color_message", None)
    return entry


def _add_service(service: str) -> structlog.types.Processor:
    def add(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        entry["service"] = service
        return entry

    return add
