"""What the business codes of chat and text message vendors mean: all of them say no with HTTP 200 too.

Codes are the vendors' own, from their published lists. A code that stands in no list is tried again: the vendors add
codes, and a message must not be lost to one that nobody here has seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from services.notifier.core.retries import SENT, Attempt
from shared.alerts import ChannelName

_LONGEST_CODE = 60


class Meaning(Enum):
    """What a refusal asks for."""

    NEVER = "never"
    GONE = "gone"
    TOO_FAST = "too_fast"


@dataclass(frozen=True, slots=True)
class VendorCodes:
    """One vendor's codes. name: begins the code in a delivery's detail. pause_seconds: what `TOO_FAST` costs."""

    name: str
    taken: str
    meanings: Mapping[str, Meaning]
    pause_seconds: float
    fixes: Mapping[str, str] = field(default_factory=dict)

    def judge(self, code: object, receipt: str) -> Attempt:
        """Say what a code means. receipt: what to keep if it means that the message was taken."""
        text = str(code)
        if text == self.taken:
            return Attempt(SENT, receipt=receipt)
        shown = "".join(sign for sign in text if sign.isascii() and (sign.isalnum() or sign in "-_."))[:_LONGEST_CODE]
        full = f"{self.name}_{shown or 'no_code'}"
        match self.meanings.get(text):
            case Meaning.NEVER:
                return Attempt(full, permanent=True)
            case Meaning.GONE:
                return Attempt(full, permanent=True, disables=True)
            case Meaning.TOO_FAST:
                return Attempt(full, retry_after_seconds=self.pause_seconds, pauses_target=True)
            case None:
                return Attempt(full)


def fix_of(channel: ChannelName, code: str) -> str | None:
    """Return what to mend after an attempt's code, naming field or setting; None where nobody here knows."""
    plain = _FIXES.get(code)
    if plain is None and (codes := _CODES.get(channel)) is not None:
        return codes.fixes.get(code.removeprefix(f"{codes.name}_"))
    return plain.format(field=_FIELDS[channel], settings=_SETTINGS[channel]) if plain else None


def field_of(channel: ChannelName) -> str:
    """Return the field of the staff list that holds a person's address on a channel."""
    return _FIELDS[channel]


def _meanings(*, never: str = "", gone: str = "", too_fast: str = "") -> dict[str, Meaning]:
    lists = ((never, Meaning.NEVER), (gone, Meaning.GONE), (too_fast, Meaning.TOO_FAST))
    return {code: meaning for codes, meaning in lists for code in codes.split()}


_WECOM_FIXES = {
    "40001": "SHOUWANG_NOTIFIER_WECOM_SECRET: copy the application's secret anew",
    "40013": "SHOUWANG_NOTIFIER_WECOM_CORP_ID: copy the enterprise's id anew",
    "60020": "add this machine's address to the application's trusted addresses (企业可信IP)",
    "81013": "wecom_user: no such account in the application's visible range",
    "60111": "wecom_user: no such account",
    "invaliduser": "wecom_user: no such account in the application's visible range",
    "93000": "wecom_robot_url: the robot was removed from its group, or the address is incomplete",
    "45009": "too many messages in a minute; wait",
}

WECOM_ROBOT = VendorCodes(
    "wecom",
    "0",
    _meanings(never="40008 40058 44004 45002", gone="93000 93004 93008", too_fast="45009 45033"),
    pause_seconds=60.0,
    fixes=_WECOM_FIXES,
)
WECOM_APP = VendorCodes(
    "wecom",
    "0",
    _meanings(
        never="40008 40056 40058 44004 45002 48002 60011",
        gone="40003 60111 81013 82001 invaliduser",
        too_fast="45009 45033",
    ),
    pause_seconds=60.0,
    fixes=_WECOM_FIXES,
)
DINGTALK = VendorCodes(
    "dingtalk",
    "0",
    _meanings(
        never="40035 400105 430101 430102 430103 430104", gone="300001 400013 400101 400102", too_fast="130101 410100"
    ),
    pause_seconds=600.0,
    fixes={
        "310000": "dingtalk_secret: the signature was refused; copy the secret anew, and see that keywords are off",
        "300001": "dingtalk_robot_url: no such robot; copy the address anew",
        "400101": "dingtalk_robot_url: no such robot; copy the address anew",
        "400102": "the robot is switched off; switch it on in its group",
        "400013": "the group has been dissolved; add a robot to another one",
        "130101": "more than 20 messages in a minute; the robot is silenced for 10 minutes",
        "410100": "more than 20 messages in a minute; the robot is silenced for 10 minutes",
    },
)
FEISHU = VendorCodes(
    "feishu",
    "0",
    _meanings(never="9499 19002", gone="19001", too_fast="9489 11232 99991400"),
    pause_seconds=60.0,
    fixes={
        "19021": "feishu_secret: the signature was refused; copy the secret anew, and see to this machine's clock",
        "19022": "the robot takes messages from listed addresses only; add this machine's",
        "19024": "the robot asks for a keyword; use signing instead",
        "19001": "feishu_robot_url: no such robot; copy the address anew, or set SHOUWANG_NOTIFIER_FEISHU_URL",
        "11232": "too many messages; wait",
    },
)
ALIYUN_SMS = VendorCodes(
    "aliyun",
    "OK",
    _meanings(
        never="isv.TEMPLATE_PARAMS_ILLEGAL isv.PARAM_LENGTH_LIMIT isv.PARAM_NOT_SUPPORT_URL"
        " isv.BLACK_KEY_CONTROL_LIMIT",
        gone="isv.MOBILE_NUMBER_ILLEGAL",
        too_fast="isv.BUSINESS_LIMIT_CONTROL isv.DAY_LIMIT_CONTROL Throttling Throttling.User",
    ),
    pause_seconds=60.0,
    fixes={
        "SignatureDoesNotMatch": "SHOUWANG_NOTIFIER_SMS_ACCESS_KEY_SECRET: copy the secret anew",
        "InvalidAccessKeyId.NotFound": "SHOUWANG_NOTIFIER_SMS_ACCESS_KEY_ID: no such key",
        "isv.SMS_SIGNATURE_ILLEGAL": "SHOUWANG_NOTIFIER_SMS_SIGN_NAME: no such approved signature",
        "isv.SMS_TEMPLATE_ILLEGAL": "SHOUWANG_NOTIFIER_SMS_TEMPLATE_CODE: no such approved template",
        "isv.TEMPLATE_MISSING_PARAMETERS": "the template may use the variables title, place, deadline and id,"
        " and reply only where SHOUWANG_NOTIFIER_SMS_REPLY_SECRET is set",
        "isv.AMOUNT_NOT_ENOUGH": "the account has no money left",
        "isv.OUT_OF_SERVICE": "the account is out of service",
        "isv.MOBILE_NUMBER_ILLEGAL": "phone: no such number",
        "isv.BUSINESS_LIMIT_CONTROL": "too many messages to this number; wait",
    },
)

_CODES: Mapping[ChannelName, VendorCodes] = {
    ChannelName.WECOM_ROBOT: WECOM_ROBOT,
    ChannelName.WECOM_APP: WECOM_APP,
    ChannelName.DINGTALK: DINGTALK,
    ChannelName.FEISHU: FEISHU,
    ChannelName.ALIYUN_SMS: ALIYUN_SMS,
}
_FIELDS: Mapping[ChannelName, str] = {
    ChannelName.SMTP: "email",
    ChannelName.WEBHOOK: "webhook_url",
    ChannelName.WECOM_ROBOT: "wecom_robot_url",
    ChannelName.WECOM_APP: "wecom_user",
    ChannelName.DINGTALK: "dingtalk_robot_url",
    ChannelName.FEISHU: "feishu_robot_url",
    ChannelName.ALIYUN_SMS: "phone",
}
_SETTINGS: Mapping[ChannelName, str] = {
    ChannelName.SMTP: "SHOUWANG_NOTIFIER_SMTP_HOST and _SMTP_PORT",
    ChannelName.WEBHOOK: "webhook_url",
    ChannelName.WECOM_ROBOT: "SHOUWANG_NOTIFIER_WECOM_URL",
    ChannelName.WECOM_APP: "SHOUWANG_NOTIFIER_WECOM_URL, _WECOM_CORP_ID, _WECOM_AGENT_ID and _WECOM_SECRET",
    ChannelName.DINGTALK: "SHOUWANG_NOTIFIER_DINGTALK_URL",
    ChannelName.FEISHU: "SHOUWANG_NOTIFIER_FEISHU_URL",
    ChannelName.ALIYUN_SMS: "SHOUWANG_NOTIFIER_SMS_URL, _SMS_ACCESS_KEY_ID, _SMS_ACCESS_KEY_SECRET, _SMS_SIGN_NAME and"
    " _SMS_TEMPLATE_CODE",
}
_FIXES: Mapping[str, str] = {
    "not_set_up": "set {settings}",
    "timeout": "nothing answers in time; see to {settings} and to the way there",
    "connection_refused": "nothing listens there; see to {settings} and to the way there",
    "disconnected": "nothing answers properly there; see to {settings} and to the way there",
    "no_such_host": "{field}: no such host",
    "tls": "the certificate there is not trusted; see to {settings}, and to the file of certificates to trust",
    "bad_reply": "what answers there is something else; see to {settings}",
    "private_address": "{field}: leads inside the house; give a public address",
    "unusable_address": "{field}: give an https:// address",
    "http_401": "webhook_secret: the receiver does not accept it; agree on one anew",
    "http_403": "webhook_secret: the receiver does not accept it; agree on one anew",
    "http_404": "{field}: no such place on that host",
    "http_410": "{field}: the receiver is gone; give another",
    "not_offered": "the relay offers no STARTTLS or no login; see to SHOUWANG_NOTIFIER_SMTP_STARTTLS and _SMTP_USER",
    "smtp_535": "SHOUWANG_NOTIFIER_SMTP_USER and _SMTP_PASSWORD: the relay does not accept them",
    "smtp_550": "email: the relay knows no such mailbox",
    "smtp_553": "email: the relay takes no such mailbox",
}
