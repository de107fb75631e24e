"""The console's words, in Chinese; steps of a timeline also in English."""

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
    "visited": "入户走访",
    "visited_in_vain": "入户，未见到人",
    "resolved": "办结",
    "reopened": "重新打开",
    "commented": "备注",
    "silenced": "静默，暂不通知",
    "silence_ended": "静默提前解除",
    "silence_expired": "静默到期",
}
HELD: Mapping[str, str] = {"quiet_hours": "安静时段，等待中", "daily_cap": "当日条数已满，等待中"}
VISIT_RESULT: Mapping[str, str] = {
    "relief_given": "已给予救助",
    "stable": "情况平稳",
    "needs_plan": "需要制定帮扶计划",
    "not_found": "没有见到人（仍须再次入户）",
}
RESOLUTION: Mapping[str, str] = {
    "risk_removed": "风险已消除",
    "measures_done": "措施已落实",
    "passed_on": "已移交其他单位",
    "mistaken": "情况不实",
}
SAID: Mapping[str, str] = {**VISIT_RESULT, **RESOLUTION, "by_link": "通过邮件中的链接"}
"""Results of visits, resolutions and ways to acknowledge, as the timeline says them."""
FORM_INCOMPLETE = "表单没有填完整：请选择结果，并写明必填的说明（不超过1000字）。"
_REFUSAL: Mapping[str, str] = {
    "closed": "预警已办结；如需继续处理，请先重新打开。",
    "withdrawn": "预警已撤销，不能再操作，只能备注。",
    "held_by_other": "已由他人负责；如需接手，请点“接手”。",
    "acknowledge_first": "还没有人签收，请先签收。",
    "visit_first": "红色、橙色预警须先入户，再办结。",
    "visit_again": "上次入户之后等级又加重了，请再次入户后办结。",
    "not_resolved": "预警还在办理中，不需要重新打开；可以备注。",
    "resolved_long_ago": "办结已超过30天，不能重新打开；请如实上报新情况，系统会发出新的预警。",
    "another_under_way": "这户已有另一条办理中的预警，请处理那一条。",
}
STEP_EN: Mapping[str, str] = {
    "opened": "alert raised",
    "worsened": "worse, told again",
    "improved": "better",
    "updated": "updated",
    "acknowledged": "acknowledged",
    "taken_over": "taken over",
    "delivery_failed": "a message could not be delivered",
    "rerouted": "duty officer told instead",
    "unreachable": "nobody to tell",
    "withdrawn": "withdrawn",
    "visited": "visited",
    "visited_in_vain": "visited, nobody met",
    "resolved": "resolved",
    "reopened": "reopened",
    "commented": "comment",
    "climbed": "not acknowledged in time, told upwards",
    "hop_failed": "could not be told upwards",
    "overdue_visit": "visit overdue, told again",
    "reminded": "reminded of a recurring task",
    "silenced": "silenced, nobody told for now",
    "silence_ended": "silence ended early",
    "silence_expired": "silence over",
}


def refusal(code: str) -> str:
    """Say why a step was refused and what to do; the page may be older than the alert's present state."""
    return f"这条预警的状态刚刚有变化，请看过下面的最新情况再操作。{_REFUSAL.get(code, '')}"


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
