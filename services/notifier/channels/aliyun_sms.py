"""Text messages through Aliyun: one call, signed by ourselves (ACS3-HMAC-SHA256, version 3 of their signatures)."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from services.notifier.channels.http_post import VendorClient
from services.notifier.channels.ports import Address
from services.notifier.core.message import Message, sms_variables
from services.notifier.core.retries import Attempt
from services.notifier.core.vendor_codes import ALIYUN_SMS
from services.notifier.settings import NotifierSettings
from shared.alerts import ChannelName
from shared.clock import Clock

ALGORITHM = "ACS3-HMAC-SHA256"
API_VERSION = "2017-05-25"


class AliyunSms:
    """Sends an approved template to one phone."""

    name = ChannelName.ALIYUN_SMS

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = VendorClient(settings, clock)

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt; see `ports.Channel`. message_id comes back in their reports as OutId."""
        if not address.address:
            return Attempt("no_address", permanent=True)
        settings = self._settings
        key, secret = settings.sms_access_key_id, settings.sms_access_key_secret
        if not (key and secret and settings.sms_sign_name and settings.sms_template_code):
            return Attempt("not_set_up", permanent=True)
        query = {
            "PhoneNumbers": address.address,
            "SignName": settings.sms_sign_name,
            "TemplateCode": settings.sms_template_code,
            "TemplateParam": json.dumps(sms_variables(message.brief), ensure_ascii=False),
            "OutId": message_id,
        }
        headers = self._headers(query, key, secret.get_secret_value())
        reply = await self._client.call("POST", f"{settings.sms_url}/?{canonical_query(query)}", headers=headers)
        if isinstance(reply, Attempt):
            return reply
        code = reply.body.get("Code")
        return (
            Attempt("bad_reply") if code is None else ALIYUN_SMS.judge(code, f"aliyun {reply.body.get('BizId')}"[:300])
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _headers(self, query: Mapping[str, str], key: str, secret: str) -> dict[str, str]:
        headers = {
            "host": urlsplit(self._settings.sms_url).netloc,
            "x-acs-action": "SendSms",
            "x-acs-version": API_VERSION,
            "x-acs-date": self._client.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        }
        return {**headers, "authorization": authorization("POST", "/", query, headers, key, secret)}


def canonical_query(query: Mapping[str, str]) -> str:
    """Write a query as it is signed: sorted, everything but letters, digits and -_.~ percent-encoded."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))


def authorization(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], key: str, secret: str
) -> str:
    """Sign a call without a body. headers: all that are signed, names in lower case."""
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = "\n".join([method, path, canonical_query(query), lines, signed, headers["x-acs-content-sha256"]])
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key},SignedHeaders={signed},Signature={signature}"
