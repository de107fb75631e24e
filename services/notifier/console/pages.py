"""Renders the console's pages. Whatever comes from outside is escaped; pages hold no script and no inline style."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.console import words
from services.notifier.console.auth import Visitor
from shared.clock import Clock, day_of
from shared.policy import PolicyBook

STATIC = Path(__file__).parent / "static"


class Pages:
    """Turns a template's name and values into an answer."""

    def __init__(self, policies: PolicyBook, clock: Clock) -> None:
        self._policies = policies
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["at"] = words.at

    def show(self, template: str, visitor: Visitor | None, status: int = 200, **values: Any) -> HTMLResponse:
        """Render one page. Each page knows `visitor`, `now`, `looks` (grade code to look) and the words."""
        now = self._clock.now()

        def age(since: datetime) -> str:
            return words.age(since, now)

        def due(instant: datetime) -> str:
            return words.due(instant, now)

        text = self._templates.get_template(template).render(
            visitor=visitor,
            now=now,
            age=age,
            due=due,
            words=words,
            looks=self._policies.on(day_of(now)).grades,
            **values,
        )
        return HTMLResponse(text, status)

    def fault(self, visitor: Visitor | None, status: int, title: str, text: str) -> HTMLResponse:
        """Render a page that says what went wrong and what to do."""
        return self.show("fault.html", visitor, status, title=title, text=text)
