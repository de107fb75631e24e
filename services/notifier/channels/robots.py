"""Group robots of WeCom, DingTalk and Feishu: one text message into one chat group.

All three answer HTTP 200 also when they refuse; the code in the body decides. A robot's token opens its group to
anybody, so that no URL is ever logged or kept.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from services.notifier.channels.http_post import VendorClient
from services.notifier.channels.ports import Address
from services.notifier.core.message import Message
from services.notifier.core.retries import Attempt
from services.notifier.core.vendor_codes import DINGTALK, FEISHU, WECOM_ROBOT, VendorCodes
from services.notifier.settings import NotifierSettings
from shared.alerts import ChannelName
from shared.clock import Clock


class _Robot:
    """What the three have in common."""

    _codes: VendorCodes

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = VendorClient(settings, clock)

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt; see `ports.Channel`. None of the three can tell a repeat by its id."""
        if not address.address:
            return Attempt("no_address", permanent=True)
        url, query, body = self._request(address.address, address.secret or "", message.brief)
        reply = await self._client.call("POST", url, query=query, body=body)
        if isinstance(reply, Attempt):
            return reply
        # Feishu's older answers carry StatusCode instead of code.
        code = next((reply.body[name] for name in ("errcode", "code", "StatusCode") if name in reply.body), None)
        return Attempt("bad_reply") if code is None else self._codes.judge(code, f"{self._codes.name} {code}")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _request(self, token: str, secret: str, text: str) -> tuple[str, Mapping[str, str], Mapping[str, Any]]:
        """Return address, query and body of the call."""
        raise NotImplementedError

    def _now_seconds(self) -> float:
        return self._client.clock.now().timestamp()


class WecomRobot(_Robot):
    """A group robot of WeCom; its token is all the proof there is."""

    name = ChannelName.WECOM_ROBOT
    _codes = WECOM_ROBOT

    def _request(self, token: str, secret: str, text: str) -> tuple[str, Mapping[str, str], Mapping[str, Any]]:
        url = f"{self._settings.wecom_url}/cgi-bin/webhook/send"
        return url, {"key": token}, {"msgtype": "text", "text": {"content": text}}


class DingtalkRobot(_Robot):
    """A group robot of DingTalk with signing."""

    name = ChannelName.DINGTALK
    _codes = DINGTALK

    def _request(self, token: str, secret: str, text: str) -> tuple[str, Mapping[str, str], Mapping[str, Any]]:
        timestamp = str(round(self._now_seconds() * 1_000))
        query = {"access_token": token, "timestamp": timestamp, "sign": dingtalk_sign(timestamp, secret)}
        body = {"msgtype": "text", "text": {"content": text}, "at": {"isAtAll": False}}
        return f"{self._settings.dingtalk_url}/robot/send", query, body


class FeishuRobot(_Robot):
    """A group robot of Feishu or Lark with signing."""

    name = ChannelName.FEISHU
    _codes = FEISHU

    def _request(self, token: str, secret: str, text: str) -> tuple[str, Mapping[str, str], Mapping[str, Any]]:
        timestamp = str(int(self._now_seconds()))
        proof = {"timestamp": timestamp, "sign": feishu_sign(timestamp, secret)}
        url = f"{self._settings.feishu_url}/open-apis/bot/v2/hook/{token}"
        return url, {}, {**proof, "msg_type": "text", "content": {"text": text}}


def dingtalk_sign(timestamp: str, secret: str) -> str:
    """Sign as DingTalk wants it: timestamp in milliseconds and secret, keyed with the secret."""
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def feishu_sign(timestamp: str, secret: str) -> str:
    """Sign as Feishu wants it: an empty text, keyed with timestamp in seconds and secret."""
    return base64.b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256)).decode()
