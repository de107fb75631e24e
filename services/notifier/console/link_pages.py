"""The page behind a link in mail: it asks once more, so that a mail scanner that follows links acknowledges nothing."""

from fastapi import APIRouter
from fastapi.responses import Response

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import caller_of
from services.notifier.console.pages import Pages
from services.notifier.console.queries import ConsoleQueries
from services.notifier.core.links import Link, LinkState
from services.notifier.mail_links import MailLinks
from services.notifier.store.directory import Directory
from services.notifier.store.reading import AlertReader
from services.notifier.store.rows import StaffRow
from shared.clock import Clock
from shared.errors import RefusedRequest
from shared.http.catalogue import PROBLEMS


class LinkPages:
    """Answers those who come by a link, without a session."""

    def __init__(
        self,
        pages: Pages,
        links: MailLinks,
        directory: Directory,
        queries: ConsoleQueries,
        reader: AlertReader,
        act: ActOnAlert,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._links = links
        self._directory = directory
        self._queries = queries
        self._reader = reader
        self._act = act
        self._clock = clock

    def routes(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/sign/{signed:path}", self.ask, methods=["GET"])
        router.add_api_route("/sign/{signed:path}", self.acknowledge, methods=["POST"])
        return router

    async def ask(self, signed: str) -> Response:
        """Show whom the link is for and one button. Changes nothing."""
        holder = await self._holder(signed)
        if isinstance(holder, LinkState):
            return self._useless(holder)
        link, person = holder
        alert = await self._reader.one(caller_of(person).reach, link.alert_id)
        if alert is None:
            return self._useless(LinkState.FORGED)
        villages = await self._queries.village_names({alert.division})
        return self._pages.show("link.html", None, alert=alert, person=person, village=villages[alert.division])

    async def acknowledge(self, signed: str) -> Response:
        """Acknowledge as the person the mail went to."""
        _ = self._pages.words.gettext
        holder = await self._holder(signed)
        if isinstance(holder, LinkState):
            return self._useless(holder)
        link, person = holder
        try:
            is_new = await self._act.acknowledge_by_link(link, caller_of(person))
        except RefusedRequest as refused:
            if PROBLEMS[refused.problem].status == 409:
                return self._pages.fault(
                    None, 409, _("Not acknowledged"), self._pages.words.refusal(refused.faults[0].code)
                )
            return self._useless(LinkState.FORGED)
        if not is_new:
            text = _("This link has been used, or you have acknowledged already; log in to see.")
            return self._pages.fault(None, 410, _("The link has been used"), text)
        text = _(
            "%(name)s, you have acknowledged and hold the alert. Log in for reasons and measures.", name=person.name
        )
        return self._pages.fault(None, 200, _("Acknowledged"), text)

    async def _holder(self, signed: str) -> tuple[Link, StaffRow] | LinkState:
        """Return a good link and its person, or what is wrong with it: it is nobody's once the person has left."""
        link, state = self._links.read(signed, self._clock.now())
        if link is None or state is not LinkState.GOOD:
            return state
        person = await self._directory.find(link.staff_id)
        return (link, person) if person is not None and person.active else LinkState.FORGED

    def _useless(self, state: LinkState) -> Response:
        _ = self._pages.words.gettext
        if state is LinkState.EXPIRED:
            text = _("This link is past its time; log in to acknowledge.")
            return self._pages.fault(None, 410, _("The link has expired"), text)
        text = _("This link is not whole or not ours. Copy all of it from the mail, or log in to acknowledge.")
        return self._pages.fault(None, 404, _("The link is not good"), text)
