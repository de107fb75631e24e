"""What the notifier can be told."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from shared.alerts import ChannelName
from shared.http.protocol_limits import HttpSettings

IMPLICIT_TLS_PORT = 465
_BASE_URL = r"^https?://[^\s/?#@]+$"
SHORTEST_LINK_SECRET = 32
# What makes a channel only together; a part of it alone is a slip.
_TOGETHER = (
    ("smtp_user", "smtp_password"),
    ("wecom_corp_id", "wecom_agent_id", "wecom_secret"),
    ("sms_access_key_id", "sms_access_key_secret", "sms_sign_name", "sms_template_code"),
)
_ADDRESS_SECRET = re.compile(rf"[A-Za-z0-9_-]{{{SHORTEST_LINK_SECRET},200}}")


class NotifierSettings(HttpSettings):
    """Settings of one notifier process."""

    model_config = SettingsConfigDict(
        env_prefix="SHOUWANG_NOTIFIER_", frozen=True, extra="ignore", populate_by_name=True
    )

    host: Annotated[str, Field(description="address that console, API, health and metrics are served on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="port that they are served on")] = 8082
    instance: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,40}$",
            description="fixed name of this replica (static group membership): a restart then moves no partitions",
        ),
    ] = None
    public_url: Annotated[
        str,
        Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$", description="base of the links in messages, as staff reach it"),
    ] = "http://127.0.0.1:8082"
    policies: Annotated[
        Path | None, Field(description="folder of policy files; without it the national default of the program")
    ] = None
    smtp_host: Annotated[str, Field(min_length=1, description="mail relay")] = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65535, description="465 speaks TLS from the first byte")] = 25
    smtp_user: Annotated[str | None, Field(description="account at the relay, if it wants one")] = None
    smtp_password: Annotated[SecretStr | None, Field(description="its password")] = None
    smtp_starttls: Annotated[
        bool, Field(description="1: refuse to go on without STARTTLS; 0: never use it (a relay on this machine only)")
    ] = False
    smtp_ca_file: Annotated[str | None, Field(description="certificates to trust for the relay, if not public")] = None
    mail_from: Annotated[str, Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$", description="sender's address of the mails")] = (
        "shouwang@localhost"
    )
    webhook_allow_private: Annotated[
        bool,
        Field(description="1: webhooks may go to loopback and private addresses, and without TLS; never in production"),
    ] = False
    wecom_url: Annotated[str, Field(pattern=_BASE_URL, description="where robots and applications of WeCom are")] = (
        "https://qyapi.weixin.qq.com"
    )
    wecom_corp_id: Annotated[str | None, Field(description="id of the enterprise at WeCom, for its application")] = None
    wecom_agent_id: Annotated[int | None, Field(ge=1, description="id (AgentId) of the application")] = None
    wecom_secret: Annotated[SecretStr | None, Field(description="secret of the application")] = None
    dingtalk_url: Annotated[str, Field(pattern=_BASE_URL, description="where robots of DingTalk are")] = (
        "https://oapi.dingtalk.com"
    )
    feishu_url: Annotated[
        str, Field(pattern=_BASE_URL, description="where robots of Feishu are; https://open.larksuite.com for Lark")
    ] = "https://open.feishu.cn"
    sms_url: Annotated[str, Field(pattern=_BASE_URL, description="where Aliyun's text message service is")] = (
        "https://dysmsapi.aliyuncs.com"
    )
    sms_access_key_id: Annotated[str | None, Field(description="Aliyun access key that may send text messages")] = None
    sms_access_key_secret: Annotated[SecretStr | None, Field(description="its secret")] = None
    sms_sign_name: Annotated[str | None, Field(description="approved signature of the text messages")] = None
    sms_template_code: Annotated[
        str | None, Field(description="approved template with the variables title, place, deadline and id")
    ] = None
    sms_reply_secret: Annotated[
        SecretStr | None,
        Field(
            description="secret, of 32 letters and digits or more, of the address that Aliyun posts people's replies"
            " to: <public_url>/v1/sms-replies/<secret>; the template then needs the variable reply too; without it"
            " replies are not taken"
        ),
    ] = None
    vendor_ca_file: Annotated[
        str | None, Field(description="certificates to trust for these vendors, if not public (a proxy of your own)")
    ] = None
    delivery_parallel: Annotated[
        int,
        Field(
            ge=1, le=100, description="sends at once to one host or relay; four times as many on a channel as a whole"
        ),
    ] = 8
    send_timeout_seconds: Annotated[float, Field(gt=0, le=60, description="total time that one attempt may take")] = (
        15.0
    )
    lease_seconds: Annotated[
        float,
        Field(
            ge=1, le=600, description="how long after a replica was last heard of another may take over its deliveries"
        ),
    ] = 6.0
    poll_seconds: Annotated[
        float, Field(gt=0, le=60, description="how often due deliveries are looked for when nothing wakes the worker")
    ] = 0.2
    probe_seconds: Annotated[
        float, Field(gt=0, le=600, description="how often a receiver is tried that was out five times in a row")
    ] = 15.0
    siren_file: Annotated[
        Path | None,
        Field(
            description="file for calls for help: a JSON line when nobody can be told of an alert, or by any channel"
        ),
    ] = None
    session_hours: Annotated[float, Field(gt=0, le=8, description="longest life of a login")] = 8.0
    session_idle_minutes: Annotated[float, Field(gt=0, le=480, description="a login unused for so long has ended")] = (
        15.0
    )

    link_secrets: Annotated[
        SecretStr,
        Field(
            description="secrets, each of 32 characters or more, with commas between, of the links in mail by which"
            " people acknowledge without a login; the first signs, all are honoured; without any there are none"
        ),
    ] = SecretStr("")
    link_hours: Annotated[int, Field(ge=1, le=168, description="how long such a link can be used")] = 24

    @property
    def link_secrets_list(self) -> tuple[str, ...]:
        """The secrets of links, the newest first."""
        return tuple(one.strip() for one in self.link_secrets.get_secret_value().split(",") if one.strip())

    @property
    def channels_not_set_up(self) -> frozenset[ChannelName]:
        """The channels that lack settings, so that nobody can be told by them."""
        needed = {ChannelName.WECOM_APP: self.wecom_secret, ChannelName.ALIYUN_SMS: self.sms_template_code}
        return frozenset(channel for channel, setting in needed.items() if not setting)

    @property
    def channel_parallel(self) -> int:
        """How many sends a channel with many hosts makes at once: so many slow ones leave room for the others."""
        return 4 * self.delivery_parallel

    @property
    def smtp_implicit_tls(self) -> bool:
        """Whether the relay is spoken to in TLS from the first byte."""
        return self.smtp_port == IMPLICIT_TLS_PORT

    @property
    def is_https(self) -> bool:
        """Whether staff reach the console over TLS."""
        return self.public_url.startswith("https://")

    @field_validator("siren_file")
    @classmethod
    def _has_a_folder(cls, file: Path | None) -> Path | None:
        if file is not None and not file.parent.is_dir():
            raise ValueError("the folder of SHOUWANG_NOTIFIER_SIREN_FILE does not exist; make it first")
        return file

    @field_validator("sms_reply_secret")
    @classmethod
    def _fits_an_address(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():
            return None
        if not _ADDRESS_SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError(
                f"SHOUWANG_NOTIFIER_SMS_REPLY_SECRET needs {SHORTEST_LINK_SECRET} to 200 letters and digits;"
                " `openssl rand -hex 32` makes one"
            )
        return secret

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        for names in _TOGETHER:
            missing = [name for name in names if not getattr(self, name)]
            if 0 < len(missing) < len(names):
                raise ValueError(
                    f"set {', '.join(map(_variable, missing))} too, or none of {', '.join(map(_variable, names))}"
                )
        if any(len(secret) < SHORTEST_LINK_SECRET for secret in self.link_secrets_list):
            raise ValueError(
                f"each of SHOUWANG_NOTIFIER_LINK_SECRETS needs {SHORTEST_LINK_SECRET} characters or more;"
                " `openssl rand -hex 32` makes one"
            )
        if self.environment == "production":
            if self.webhook_allow_private:
                raise ValueError("SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE is for desks and tests, not for production")
            vendors = (self.wecom_url, self.dingtalk_url, self.feishu_url, self.sms_url)
            if not all(url.startswith("https://") for url in vendors):
                raise ValueError(
                    "give the vendors' addresses (WECOM_URL, DINGTALK_URL, FEISHU_URL, SMS_URL) as https://"
                )
            if not (self.smtp_starttls or self.smtp_implicit_tls or _is_loopback(self.smtp_host)):
                raise ValueError("set SHOUWANG_NOTIFIER_SMTP_STARTTLS=1: mail would leave this machine in clear")
        return self


def _variable(name: str) -> str:
    return f"SHOUWANG_NOTIFIER_{name.upper()}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
