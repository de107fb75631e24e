"""The console's words, in Chinese; steps of a timeline also in English."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.notifier.core.alerting import say_span
from services.notifier.core.words import Wording, Words


class ConsoleWords:
    """What pages say for the codes that they show, and for time."""

    def __init__(self, wording: Wording) -> None:
        words = wording.zh
        self.gettext = words.gettext
        self.ngettext = words.ngettext
        self.status = _statuses(words)
        self.role = _roles(words)
        self.channel = _channels(words)
        self.delivery = _deliveries(words)
        self.held = _holds(words)
        self.step = _steps(words)
        self.step_en = _steps(wording.en)
        self.visit_result = _visit_results(words)
        self.resolution = _resolutions(words)
        self.said = {**self.visit_result, **self.resolution, **_ways(words)}
        """Results of visits, resolutions and ways to acknowledge, as the timeline says them."""
        self._refusal = _refusals(words)
        self._words = words

    @property
    def form_incomplete(self) -> str:
        """What a form lacks."""
        return self.gettext(
            "The form is not complete: choose a result,"
            " and write the note where one is required (up to 1000 characters)."
        )

    def refusal(self, code: str) -> str:
        """Say why a step was refused and what to do; the page may be older than the alert's present state."""
        return self.gettext(
            "This alert has just changed; look at its present state below, then act. %(reason)s",
            reason=self._refusal.get(code, ""),
        )

    def age(self, since: datetime, now: datetime) -> str:
        """Say how long ago something was."""
        span = now - since
        if span < timedelta(minutes=1):
            return self.gettext("just now")
        return self.gettext("%(span)s ago", span=say_span(span, self._words))

    def due(self, instant: datetime, now: datetime) -> str:
        """Say how much time is left, or for how long it has been over."""
        left = instant - now
        if left > timedelta(0):
            return self.gettext("%(span)s left", span=say_span(left, self._words))
        return self.gettext("overdue for %(span)s", span=say_span(-left, self._words))


def _statuses(words: Words) -> Mapping[str, str]:
    return {
        "open": words.pgettext("status", "to be acknowledged"),
        "acknowledged": words.pgettext("status", "acknowledged"),
        "visited": words.pgettext("status", "visited"),
        "resolved": words.pgettext("status", "resolved"),
        "withdrawn": words.pgettext("status", "withdrawn"),
    }


def _roles(words: Words) -> Mapping[str, str]:
    return {
        "cadre": words.gettext("assistance cadre"),
        "grid": words.gettext("grid member"),
        "village_team": words.gettext("village team"),
        "township": words.gettext("township cadre"),
        "county": words.gettext("county cadre"),
        "duty_officer": words.gettext("duty officer"),
    }


def _channels(words: Words) -> Mapping[str, str]:
    return {
        "smtp": words.gettext("mail"),
        "webhook": words.gettext("webhook"),
        "wecom_robot": words.gettext("WeCom group"),
        "wecom_app": words.gettext("WeCom"),
        "dingtalk": words.gettext("DingTalk group"),
        "feishu": words.gettext("Feishu group"),
        "aliyun_sms": words.gettext("text message"),
    }


def _deliveries(words: Words) -> Mapping[str, str]:
    return {
        "pending": words.pgettext("delivery", "being sent"),
        "sent": words.pgettext("delivery", "sent"),
        "failed": words.pgettext("delivery", "cannot be delivered"),
        "suppressed": words.pgettext("delivery", "not needed any more"),
    }


def _holds(words: Words) -> Mapping[str, str]:
    return {
        "quiet_hours": words.gettext("waits for the end of the quiet hours"),
        "daily_cap": words.gettext("waits until the day has room"),
        "message_budget": words.gettext("several messages lately, waits for the next one"),
        "receiver_limit": words.gettext("waits for the receiver"),
        "in_digest": words.gettext("goes together with others"),
    }


def _steps(words: Words) -> Mapping[str, str]:
    return {
        "opened": words.pgettext("step", "alert raised"),
        "worsened": words.pgettext("step", "worse, told again"),
        "improved": words.pgettext("step", "better"),
        "corrected": words.pgettext("step", "better by corrected evidence, told again"),
        "updated": words.pgettext("step", "updated"),
        "acknowledged": words.pgettext("step", "acknowledged"),
        "taken_over": words.pgettext("step", "taken over"),
        "climbed": words.pgettext("step", "not acknowledged in time, told upwards"),
        "hop_failed": words.pgettext("step", "could not be told upwards"),
        "overdue_visit": words.pgettext("step", "visit overdue, told again"),
        "reminded": words.pgettext("step", "reminded of a recurring task"),
        "delivery_failed": words.pgettext("step", "a message could not be delivered"),
        "rerouted": words.pgettext("step", "duty officer told instead"),
        "unreachable": words.pgettext("step", "nobody to tell"),
        "withdrawn": words.pgettext("step", "withdrawn"),
        "visited": words.pgettext("step", "visited"),
        "visited_in_vain": words.pgettext("step", "visited, nobody met"),
        "resolved": words.pgettext("step", "resolved"),
        "reopened": words.pgettext("step", "reopened"),
        "commented": words.pgettext("step", "comment"),
        "silenced": words.pgettext("step", "silenced, nobody told for now"),
        "silence_ended": words.pgettext("step", "silence ended early"),
        "silence_expired": words.pgettext("step", "silence over"),
        "reply_unclear": words.pgettext("step", "replied by text message without the code of an alert"),
    }


def _visit_results(words: Words) -> Mapping[str, str]:
    return {
        "relief_given": words.gettext("relief given"),
        "stable": words.gettext("stable"),
        "needs_plan": words.gettext("needs an assistance plan"),
        "not_found": words.gettext("nobody met (the visit is still owed)"),
    }


def _resolutions(words: Words) -> Mapping[str, str]:
    return {
        "risk_removed": words.gettext("risk removed"),
        "measures_done": words.gettext("measures done"),
        "passed_on": words.gettext("passed on to others"),
        "mistaken": words.gettext("mistaken"),
    }


def _ways(words: Words) -> Mapping[str, str]:
    return {"by_link": words.gettext("by the link in the mail"), "sms_reply": words.gettext("by text message")}


def _refusals(words: Words) -> Mapping[str, str]:
    return {
        "closed": words.gettext("The alert is resolved; to go on with it, reopen it first."),
        "withdrawn": words.gettext("The alert is withdrawn and stays so; it can only be commented on."),
        "held_by_other": words.gettext("Somebody else holds the alert; to take it on, choose “Take over”."),
        "acknowledge_first": words.gettext("Nobody has acknowledged the alert yet; acknowledge first."),
        "visit_first": words.gettext("A red or orange alert is resolved only after a visit."),
        "visit_again": words.gettext("The alert has become worse since the last visit; visit again, then resolve."),
        "not_resolved": words.gettext("The alert is under way and need not be reopened; comment on it instead."),
        "resolved_long_ago": words.gettext(
            "Resolved more than 30 days ago, so it cannot be reopened;"
            " report what happened, and a new alert will be raised."
        ),
        "another_under_way": words.gettext("The household has another alert under way; act on that one."),
    }
