"""Whether a form was meant: sent from our own pages, under the token of the session it claims."""

from urllib.parse import urlsplit

from fastapi import Request

from services.notifier.console.auth import Visitor, same


class OwnForms:
    """Tells our own forms from forged ones."""

    def __init__(self, public_url: str) -> None:
        self._origin = _origin(public_url)
        self.over_https = self._origin.startswith("https")

    def is_meant(self, request: Request, visitor: Visitor, csrf: str) -> bool:
        """Tell whether a visitor sent a form on purpose."""
        return same(csrf, visitor.csrf) and self.is_own(request)

    def is_own(self, request: Request) -> bool:
        """Tell whether a form was sent from our own pages, as far as the browser says; the token has the last word."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        # Our Referrer-Policy makes browsers send the origin of our own forms as "null".
        own = ("null", self._origin, _origin(str(request.base_url)))
        return request.headers.get("origin", "null") in own


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
