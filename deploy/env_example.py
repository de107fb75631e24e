"""Writes `.env.example` from the settings models: `python -m deploy.env_example > .env.example`."""

import sys
import textwrap

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from services.ingest.settings import IngestSettings
from services.notifier.settings import NotifierSettings
from services.scorer.settings import ScorerSettings
from shared.settings import ServiceSettings, variable_names

HEAD = """\
# Every setting of the three services. Lines that begin with # show the default.
# Made from the settings models by `make schemas`; a test holds the two together.
"""


def render() -> str:
    """Return the text of `.env.example`: what is common first, then each service's own."""
    common = set(ServiceSettings.model_fields)
    sections = [_section("Every service", ServiceSettings, set())]
    for title, settings in (("Ingest", IngestSettings), ("Scorer", ScorerSettings), ("Notifier", NotifierSettings)):
        sections.append(_section(title, settings, common))
    return "\n".join([HEAD, *sections])


def _section(title: str, settings: type[ServiceSettings], without: set[str]) -> str:
    lines = [f"# --- {title}", ""]
    names = variable_names(settings)
    for field, declared in settings.model_fields.items():
        if field in without:
            continue
        lines += textwrap.wrap(declared.description or "", 116, initial_indent="# ", subsequent_indent="# ")
        if declared.default is PydanticUndefined:
            lines.append(f"{names[field]}=")
        else:
            lines.append(f"# {names[field]}={_shown(declared.default)}")
        lines.append("")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
