"""Renders the console's pages. Whatever comes from outside is escaped; pages hold no script and no inline style."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.console.auth import Visitor
from services.notifier.console.colours import grade_styles
from services.notifier.console.words import ConsoleWords
from services.notifier.core.message import local_time
from services.notifier.core.words import Wording
from shared.clock import Clock, day_of
from shared.grades import RiskGrade
from shared.policy import Policies, Policy

SEE_OTHER = 303
STATIC = Path(__file__).parent / "static"


class Pages:
    """Turns a template's name and values into an answer."""

    def __init__(self, policies: Policies, clock: Clock, wording: Wording) -> None:
        self._policies = policies
        self._clock = clock
        self.words = ConsoleWords(wording)
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["at"] = local_time
        # What these return is escaped like anything else: a catalogue holds text, not HTML.
        self._templates.globals |= {"_": self.words.gettext, "ngettext": self.words.ngettext}

    def show(self, template: str, visitor: Visitor | None, status: int = 200, **values: Any) -> HTMLResponse:
        """Render one page. Each page knows `visitor`, `now`, `policy_of` (a division) and the words."""
        now = self._clock.now()

        def age(since: datetime) -> str:
            return self.words.age(since, now)

        def due(instant: datetime) -> str:
            return self.words.due(instant, now)

        def policy_of(division: str) -> Policy:
            return self._policies.for_division(division).on(day_of(now))

        text = self._templates.get_template(template).render(
            visitor=visitor,
            now=now,
            age=age,
            due=due,
            words=self.words,
            policy_of=policy_of,
            **values,
        )
        return HTMLResponse(text, status)

    def listed_grades(self, division: str) -> list[RiskGrade]:
        """The grades of which the policy of a division makes weekly lists."""
        policy = self._policies.for_division(division).on(day_of(self._clock.now()))
        return [RiskGrade.from_code(code) for code in policy.weekly_list.routing]

    def grade_colours(self) -> Response:
        """Render the stylesheet with the colours that the policies in force today give to grades."""
        today = day_of(self._clock.now())
        styles = grade_styles(book.on(today) for book in self._policies.books.values())
        return Response(styles, media_type="text/css")

    def fault(self, visitor: Visitor | None, status: int, title: str, text: str) -> HTMLResponse:
        """Render a page that says what went wrong and what to do."""
        return self.show("fault.html", visitor, status, title=title, text=text)

    def not_meant(self, visitor: Visitor) -> HTMLResponse:
        """Render the answer to a form that may be forged."""
        _ = self.words.gettext
        text = _("Go back, load the page anew and try once more.")
        return self.fault(visitor, 403, _("This page has expired"), text)
