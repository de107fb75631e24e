"""Read a person's ways of being told from a row of the staff list: each cell is checked, and none shown in a fault."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from services.notifier.channels.webhook import check_secret, check_url
from services.notifier.core.channel_order import ONE_IS_ENOUGH
from services.notifier.core.sms_replies import mobile_number
from services.notifier.store.rows import Contact
from shared.alerts import ChannelName

CONTACT_FIELDS = (
    "email",
    "webhook_url",
    "webhook_secret",
    "wecom_robot_url",
    "wecom_user",
    "dingtalk_robot_url",
    "dingtalk_secret",
    "feishu_robot_url",
    "feishu_secret",
    "phone",
    "channel_order",
)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_WECOM_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9-]{16,128}")
_SECRET = re.compile(r"[!-~]{16,128}")


class Cells(Protocol):
    """A row under inspection, which keeps its faults."""

    def text(self, field: str) -> str:
        """Return a cell; empty where the column is missing."""
        ...

    def check(self, field: str, right: bool, fix: str) -> bool:
        """Note a fault unless right; return whether it is."""
        ...

    def check_by(self, field: str, checking: Callable[[], object]) -> None:
        """Run a check that raises ValueError with what to fix."""
        ...


def read_contacts(row: Cells, *, allow_plain: bool) -> tuple[Contact, ...]:
    """Return the contacts of a row in the person's order; only of use if no fault was noted.

    allow_plain: webhooks may be http.
    """
    robots = (
        _robot(row, ChannelName.DINGTALK, "dingtalk_robot_url", "dingtalk_secret", _dingtalk_token),
        _robot(row, ChannelName.FEISHU, "feishu_robot_url", "feishu_secret", _feishu_token),
    )
    found = [_mail(row), _webhook(row, allow_plain), _wecom_app(row), _wecom_robot(row), *robots, _phone(row)]
    by_channel = {one.channel: one for one in found if one is not None}
    row.check(
        "email",
        bool(by_channel),
        "give an email, a webhook_url or another way: without one this person cannot be told",
    )
    return tuple(by_channel[channel] for channel in _order(row, by_channel))


def _order(row: Cells, known: Mapping[ChannelName, Contact]) -> Sequence[ChannelName]:
    named = row.text("channel_order").split()
    ladder = [str(channel) for channel in ONE_IS_ENOUGH]
    right = len(set(named)) == len(named) and all(name in ladder and name in map(str, known) for name in named)
    fix = f"name, each once and with spaces between, those of {', '.join(ladder)} that this row has, first choice first"
    if not row.check("channel_order", right, fix):
        return tuple(known)
    first = [ChannelName(name) for name in named]
    always = [channel for channel in known if channel not in ONE_IS_ENOUGH]
    return (*always, *first, *(channel for channel in ONE_IS_ENOUGH if channel in known and channel not in first))


def _mail(row: Cells) -> Contact | None:
    email = row.text("email")
    if not email:
        return None
    row.check("email", bool(_EMAIL.fullmatch(email)), "give an address such as name@example.org")
    return Contact(ChannelName.SMTP, email)


def _webhook(row: Cells, allow_plain: bool) -> Contact | None:
    url, secret = row.text("webhook_url"), row.text("webhook_secret")
    if url:
        row.check_by("webhook_url", lambda: check_url(url, allow_plain=allow_plain))
        row.check("webhook_secret", bool(secret), "give the receiver's signing secret (whsec_... in base64)")
    if secret:
        row.check("webhook_url", bool(url), "a webhook_secret needs a webhook_url")
        row.check_by("webhook_secret", lambda: check_secret(secret))
    return Contact(ChannelName.WEBHOOK, url, secret) if url else None


def _wecom_app(row: Cells) -> Contact | None:
    user = row.text("wecom_user")
    if not user:
        return None
    row.check(
        "wecom_user", bool(_WECOM_USER.fullmatch(user)), "give the account (UserID) from the address book of WeCom"
    )
    return Contact(ChannelName.WECOM_APP, user)


def _wecom_robot(row: Cells) -> Contact | None:
    url = row.text("wecom_robot_url")
    if not url:
        return None
    token = _token(url, "/cgi-bin/webhook/send", "key")
    fix = "copy the group robot's whole address from WeCom: https://.../cgi-bin/webhook/send?key=..."
    row.check("wecom_robot_url", token is not None, fix)
    return Contact(ChannelName.WECOM_ROBOT, token or "")


def _robot(
    row: Cells, channel: ChannelName, url_field: str, secret_field: str, token_of: Callable[[str], str | None]
) -> Contact | None:
    url, secret = row.text(url_field), row.text(secret_field)
    if secret:
        row.check(secret_field, bool(_SECRET.fullmatch(secret)), "copy the whole signing secret, 16 or more characters")
        row.check(url_field, bool(url), f"a {secret_field} needs a {url_field}")
    if not url:
        return None
    token = token_of(url)
    form = "/robot/send?access_token=..." if channel is ChannelName.DINGTALK else "/open-apis/bot/v2/hook/..."
    row.check(url_field, token is not None, f"copy the group robot's whole address: https://...{form}")
    fix = "switch on signing in the robot's security settings and copy the secret from there"
    row.check(secret_field, bool(secret), fix)
    return Contact(channel, token or "", secret or None)


def _phone(row: Cells) -> Contact | None:
    text = row.text("phone")
    if not text:
        return None
    number = mobile_number(text)
    row.check("phone", number is not None, "give a mobile number of 11 digits, such as 13800000000")
    return Contact(ChannelName.ALIYUN_SMS, number or "")


def _dingtalk_token(url: str) -> str | None:
    return _token(url, "/robot/send", "access_token")


def _feishu_token(url: str) -> str | None:
    """Return what ends the path: this vendor puts the token there."""
    head, _, token = _path(url).rpartition("/")
    return token if head.endswith("/open-apis/bot/v2/hook") and _TOKEN.fullmatch(token) else None


def _token(url: str, path: str, parameter: str) -> str | None:
    """Return what opens the robot's group; None for an address of another kind. The host is the settings' to say."""
    if not _path(url).endswith(path):
        return None
    values = parse_qs(urlsplit(url).query).get(parameter, [])
    return values[0] if len(values) == 1 and _TOKEN.fullmatch(values[0]) else None


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.path if parts.scheme in ("https", "http") and parts.hostname else ""
