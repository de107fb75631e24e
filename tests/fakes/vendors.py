"""A real HTTP server that behaves like the chat and text message vendors: they refuse with HTTP 200 and a code.

Signatures are checked with code of its own, limits are kept, and a journal tells what came in. For trouble below the
codes (silence, garbage, resets) it takes the words of the webhook receiver.
"""

import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2

from tests.fakes.webhook_receiver import Request, WebhookReceiver, listening

TOKEN, USER, PHONE = "0123456789abcdef-robot", "zhang.san", "13800000000"
ROBOT_SECRET = "SEC-robot-secret-of-these-tests"
CORP_ID, AGENT_ID, APP_SECRET = "ww-corp", 1000002, "app-secret"
KEY_ID, KEY_SECRET = "LTAI-key", "key-secret"
NO_SMS = dict.fromkeys(("sms_access_key_id", "sms_access_key_secret", "sms_sign_name", "sms_template_code"))
NOT_SET_UP = {**NO_SMS, **dict.fromkeys(("wecom_corp_id", "wecom_agent_id", "wecom_secret"))}
"""Settings without what the channels need that need any."""
Answer = dict[str, Any]


@dataclass
class Vendors(WebhookReceiver):
    """codes: what the next messages are answered with. per_minute: over it, each vendor says its own code.

    texts: of the messages taken. expired: tokens of the application that are good no more. now: seconds.
    template: the variables that the approved text message needs. pushed: HTTP status of each push of replies.
    """

    now: Callable[[], float] = lambda: 0.0
    codes: list[int | str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    per_minute: int = 20
    silenced_until: float = 0.0
    tokens_issued: int = 0
    expired: set[str] = field(default_factory=set)
    taken_at: list[float] = field(default_factory=list)
    template: tuple[str, ...] = ("title", "place", "deadline", "id")
    pushed: list[int] = field(default_factory=list)

    async def push(self, url: str, *replies: Any) -> bool:
        """Pass on what people replied, as Aliyun does (SmsUp); tell whether it was taken, else it would come again."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as client:
            answer = await client.post(url, json=list(replies))
        self.pushed.append(answer.status_code)
        # They look for a number here, whichever it is.
        return answer.status_code == 200 and isinstance(answer.json()["code"], int)

    def good_answer(self, request: Request) -> bytes:
        """Answer as the vendor whose address was called does."""
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query))
        match url.path:
            case "/cgi-bin/gettoken":
                answer = self._token(query)
            case "/cgi-bin/webhook/send":
                answer = self._robot(query.get("key"), request, 93000, 45009)
            case "/cgi-bin/message/send":
                answer = self._application(query, request)
            case "/robot/send":
                answer = self._dingtalk(query, request)
            case path if path.startswith("/open-apis/bot/v2/hook/"):
                answer = self._feishu(path.rpartition("/")[2], request)
            case "/":
                answer = self._sms(request, query)
            case _:
                answer = {"errcode": 404}
        body = json.dumps(answer).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def _verdict(self, text: str, good: int | str, too_fast: int | str) -> int | str:
        now = self.now()
        if self.codes:
            return self.codes.pop(0)
        if now < self.silenced_until or sum(now - at < 60 for at in self.taken_at) >= self.per_minute:
            return too_fast
        self.taken_at.append(now)
        self.texts.append(text)
        return good

    def _robot(self, token: str | None, request: Request, unknown: int, too_fast: int) -> Answer:
        if token != TOKEN:
            return {"errcode": unknown, "errmsg": "no such robot"}
        return {"errcode": self._verdict(json.loads(request.body)["text"]["content"], 0, too_fast)}

    def _dingtalk(self, query: dict[str, str], request: Request) -> Answer:
        stamp = query.get("timestamp", "0")
        wanted = hmac.new(ROBOT_SECRET.encode(), f"{stamp}\n{ROBOT_SECRET}".encode(), hashlib.sha256).digest()
        is_fresh = abs(int(stamp) / 1_000 - self.now()) < 3_600
        if query.get("access_token") == TOKEN and not (is_fresh and _same(query.get("sign"), wanted)):
            return {"errcode": 310000, "errmsg": "sign not match"}
        answer = self._robot(query.get("access_token"), request, 300001, 130101)
        if answer["errcode"] == 130101:
            self.silenced_until = self.now() + 600
        return answer

    def _feishu(self, token: str, request: Request) -> Answer:
        if token != TOKEN:
            return {"code": 19001, "msg": "access token invalid", "data": {}}
        body = json.loads(request.body)
        stamp = str(body.get("timestamp", 0))
        wanted = hmac.new(f"{stamp}\n{ROBOT_SECRET}".encode(), None, hashlib.sha256).digest()
        if abs(int(stamp) - self.now()) > 3_600 or not _same(body.get("sign"), wanted):
            return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
        return {"code": self._verdict(body["content"]["text"], 0, 11232), "data": {}}

    def _token(self, query: dict[str, str]) -> Answer:
        if query != {"corpid": CORP_ID, "corpsecret": APP_SECRET}:
            return {"errcode": 40001, "errmsg": "invalid credential"}
        self.tokens_issued += 1
        return {"errcode": 0, "access_token": f"token-{self.tokens_issued}", "expires_in": 7200}

    def _application(self, query: dict[str, str], request: Request) -> Answer:
        body = json.loads(request.body)
        if query.get("access_token") != f"token-{self.tokens_issued}" or query["access_token"] in self.expired:
            return {"errcode": 42001, "errmsg": "access_token expired"}
        if body["agentid"] != AGENT_ID:
            return {"errcode": 301002, "errmsg": "not allow operate another agent with this accesstoken"}
        if body["touser"] != USER:
            return {"errcode": 0, "invaliduser": body["touser"]}
        code = self._verdict(body["text"]["content"], 0, 45009)
        return {"errcode": code, "msgid": f"msg-{len(self.texts)}"}

    def _sms(self, request: Request, query: dict[str, str]) -> Answer:
        if not _is_signed(request, query):
            return {"Code": "SignatureDoesNotMatch", "Message": "the signature does not conform"}
        if query["PhoneNumbers"] != PHONE:
            return {"Code": "isv.MOBILE_NUMBER_ILLEGAL"}
        variables = json.loads(query["TemplateParam"])
        if any(len(value) > 35 or "://" in value for value in variables.values()):
            return {"Code": "isv.PARAM_LENGTH_LIMIT"}
        if not variables.keys() >= set(self.template):
            return {"Code": "isv.TEMPLATE_MISSING_PARAMETERS"}
        code = self._verdict(" ".join(variables.values()), "OK", "isv.BUSINESS_LIMIT_CONTROL")
        return {"Code": code, "BizId": f"biz-{len(self.texts)}", "RequestId": "r"}


def reply_of(sequence_id: int | str, content: str, phone: str = PHONE) -> Answer:
    """A reply as Aliyun tells of it."""
    return {
        "phone_number": phone,
        "content": content,
        "send_time": "2026-03-02 09:31:00",
        "dest_code": "1234",
        "sign_name": "守望",
        "sequence_id": sequence_id,
    }


def _same(sign: str | None, wanted: bytes) -> bool:
    return sign == base64.b64encode(wanted).decode()


def _is_signed(request: Request, query: dict[str, str]) -> bool:
    found = re.fullmatch(
        r"ACS3-HMAC-SHA256 Credential=(?P<key>[^,]+),SignedHeaders=(?P<names>[^,]+),Signature=(?P<signature>[0-9a-f]+)",
        request.headers.get("authorization", ""),
    )
    if found is None or found["key"] != KEY_ID or "x-acs-date" not in found["names"]:
        return False
    text = "POST\n/\n" + "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(query.items()))
    for name in found["names"].split(";"):
        text += f"\n{name}:{request.headers[name]}"
    text += f"\n\n{found['names']}\n{hashlib.sha256(request.body).hexdigest()}"
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(text.encode()).hexdigest()
    return hmac.new(KEY_SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest() == found["signature"]


@asynccontextmanager
async def vendors(now: Callable[[], float], tls: ssl.SSLContext | None = None) -> AsyncIterator[Vendors]:
    """Run the vendors on a free port of the loopback. tls: they speak nothing else."""
    receiver = Vendors(now=now, scheme="https" if tls else "http")
    async with listening(receiver, tls):
        yield receiver


def vendor_settings(port: int, scheme: str = "http") -> dict[str, Any]:
    """Settings with which the notifier calls these vendors."""
    url = f"{scheme}://127.0.0.1:{port}"
    return {
        **dict.fromkeys(("wecom_url", "dingtalk_url", "feishu_url", "sms_url"), url),
        "wecom_corp_id": CORP_ID,
        "wecom_agent_id": AGENT_ID,
        "wecom_secret": APP_SECRET,
        "sms_access_key_id": KEY_ID,
        "sms_access_key_secret": KEY_SECRET,
        "sms_sign_name": "守望",
        "sms_template_code": "SMS_1",
    }
