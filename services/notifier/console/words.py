"""The console's words, in Chinese."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.notifier.core.alerting import span_words
from services.notifier.core.message import local_time

STATUS: Mapping[str, str] = {
    "open": "待签收",
    "acknowledged": "已签收",
    "visited": "已入户",
    "resolved": "已办结",
    "withdrawn": "已撤销",
}
ROLE: Mapping[str, str] = {
    "cadre": "帮扶责任人",
    "grid": "网格员",
    "village_team": "驻村工作队",
    "township": "乡镇干部",
    "county": "县级干部",
    "duty_officer": "值班员",
}
CHANNEL: Mapping[str, str] = {"smtp": "邮件", "webhook": "消息推送"}
DELIVERY: Mapping[str, str] = {
    "pending": "发送中",
    "sent": "已发出",
    "failed": "无法送达",
    "suppressed": "不再需要",
}
STEP: Mapping[str, str] = {
    "opened": "发出预警",
    "worsened": "等级加重，再次通知",
    "improved": "等级减轻",
    "updated": "情况更新",
    "acknowledged": "签收",
    "taken_over": "接手",
    "climbed": "超时未签收，通知上级",
    "hop_failed": "通知上级未能送达",
    "overdue_visit": "超期未入户，再次通知",
    "reminded": "提醒定期任务",
    "delivery_failed": "一条通知无法送达",
    "rerouted": "改为通知值班员",
    "unreachable": "没有可通知的人",
    "withdrawn": "撤销预警",
}


def age(since: datetime, now: datetime) -> str:
    """Say how long ago something was."""
    span = now - since
    return "刚刚" if span < timedelta(minutes=1) else f"{span_words(span)[0]}前"


def due(instant: datetime, now: datetime) -> str:
    """Say how much time is left, or for how long it has been over."""
    left = instant - now
    return f"还剩{span_words(left)[0]}" if left > timedelta(0) else f"已超期{span_words(-left)[0]}"


def at(instant: datetime) -> str:
    """Write an instant in Beijing time."""
    return local_time(instant)
