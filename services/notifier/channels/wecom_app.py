"""Messages of a WeCom application to one person.

The application shows a token that is good for two hours; it is fetched once and again when WeCom calls it stale.
"""

import asyncio

from services.notifier.channels.http_post import Reply, VendorClient
from services.notifier.channels.ports import Address
from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt
from services.notifier.core.vendor_codes import WECOM_APP
from services.notifier.settings import NotifierSettings
from shared.alerts import ChannelName
from shared.clock import Clock

STALE_TOKEN = (40014, 42001)
# Within so long WeCom drops a second message with the same words to the same person: a repeat after a lost answer.
SAME_MESSAGE_SECONDS = 14_400


class WecomApp:
    """Sends as one application of one enterprise."""

    name = ChannelName.WECOM_APP

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = VendorClient(settings, clock)
        self._token: str | None = None
        self._fetching = asyncio.Lock()

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt; see `ports.Channel`."""
        if not address.address:
            return Attempt("no_address", permanent=True)
        settings = self._settings
        if not (settings.wecom_corp_id and settings.wecom_agent_id and settings.wecom_secret):
            return Attempt("not_set_up", permanent=True)
        stale: str | None = None
        for _ in range(2):
            token = await self._token_other_than(stale)
            if isinstance(token, Attempt):
                return token
            reply = await self._post(token, address.address, message.brief)
            if isinstance(reply, Attempt) or reply.body.get("errcode") not in STALE_TOKEN:
                break
            stale = token
        return reply if isinstance(reply, Attempt) else _judge(reply)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _post(self, token: str, user: str, text: str) -> Reply | Attempt:
        body = {
            "touser": user,
            "msgtype": "text",
            "agentid": self._settings.wecom_agent_id,
            "text": {"content": text},
            "enable_duplicate_check": 1,
            "duplicate_check_interval": SAME_MESSAGE_SECONDS,
        }
        url = f"{self._settings.wecom_url}/cgi-bin/message/send"
        return await self._client.call("POST", url, query={"access_token": token}, body=body)

    async def _token_other_than(self, stale: str | None) -> str | Attempt:
        # WeCom limits how often a token may be asked for; sends that meet a stale one together ask once.
        async with self._fetching:
            if self._token is None or self._token == stale:
                fetched = await self._fetch()
                if isinstance(fetched, Attempt):
                    self._token = None
                    return fetched
                self._token = fetched
            return self._token

    async def _fetch(self) -> str | Attempt:
        settings = self._settings
        secret = settings.wecom_secret.get_secret_value() if settings.wecom_secret else ""
        query = {"corpid": settings.wecom_corp_id or "", "corpsecret": secret}
        reply = await self._client.call("GET", f"{settings.wecom_url}/cgi-bin/gettoken", query=query)
        if isinstance(reply, Attempt):
            return reply
        token = reply.body.get("access_token")
        if reply.body.get("errcode") == 0 and isinstance(token, str) and token:
            return token
        refused = WECOM_APP.judge(reply.body.get("errcode", "no_code"), "")
        # Refused is our application, never the person: the operator can mend that.
        return Attempt(refused.code if refused.receipt is None else "bad_reply")


def _judge(reply: Reply) -> Attempt:
    code = reply.body.get("errcode")
    if code is None:
        return Attempt("bad_reply")
    if code == 0 and reply.body.get("invaliduser"):
        # Taken for nobody: the only person it was for is not among those the application may reach.
        return WECOM_APP.judge("invaliduser", "")
    return WECOM_APP.judge(code, f"wecom {reply.body.get('msgid', code)}"[:300])
