"""What the notifier does by itself, beside the HTTP app: each worker is a task that must stay alive."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.notifier.channels.ports import Channel
from services.notifier.climb import Climb
from services.notifier.core.words import Wording
from services.notifier.deliver import Deliver, PersonalPart, ShowPending
from services.notifier.mail_links import MailLinks
from services.notifier.make_lists import MakeLists
from services.notifier.metrics import NotifierMetrics
from services.notifier.pass_on import PassOn
from services.notifier.raise_alert import RaiseAlert
from services.notifier.reconcile import Reconcile, ReconcileMetrics
from services.notifier.release import Release
from services.notifier.send_lists import SendLists
from services.notifier.settings import NotifierSettings
from services.notifier.siren import Siren
from services.notifier.sms_codes import SmsCodes
from services.notifier.store.alerts import AlertStore
from services.notifier.store.claims import Claims
from services.notifier.store.stores import Stores
from shared.alerts import ChannelName
from shared.clock import Clock
from shared.lifecycle import Work
from shared.policy import Policies


@dataclass(frozen=True, slots=True)
class Workers:
    """Makes the workers of what all of them share. name: of this replica, in leases."""

    stores: Stores
    claims: Claims
    channels: Sequence[Channel]
    siren: Siren
    settings: NotifierSettings
    clock: Clock
    policies: Policies
    wording: Wording
    metrics: NotifierMetrics
    name: str
    _lanes: list[Deliver] = field(default_factory=list)

    def wake_lanes(self, channels: Collection[ChannelName] = tuple(ChannelName)) -> None:
        """Deliveries were made: these channels look at once."""
        for lane in self._lanes:
            if lane.name in channels:
                lane.wake()

    def raise_alert(self, alerts: AlertStore) -> RaiseAlert:
        """What is done with each change of a grade."""
        return RaiseAlert(
            alerts,
            self.policies,
            self.clock,
            self.metrics,
            public_url=self.settings.public_url,
            wording=self.wording,
            on_deliveries=self.wake_lanes,
            siren=self.siren,
        )

    def tasks(self, reconcile_metrics: ReconcileMetrics) -> Mapping[str, Work]:
        """Everything but the consumer: who sends, who climbs, who makes and sends lists, who looks after it all."""
        self._lanes.extend(self._deliver())
        sender = self._send_lists()
        return {
            **{f"deliver_{lane.name}": lane.run for lane in self._lanes},
            "climb": self._climb().run,
            "release": Release(self.stores.releasing, self.policies, self.clock, self.wake_lanes).run,
            "pass_on": PassOn(self.stores.fallbacks, self.clock, self.metrics, self.wake_lanes).run,
            "make_lists": self._make_lists(sender).run,
            "send_lists": sender.run,
            "siren": self.siren.run,
            "pending": ShowPending(self.stores.deliveries, self.clock, self.metrics).run,
            "reconcile": self._reconcile(reconcile_metrics).run,
        }

    def _deliver(self) -> list[Deliver]:
        personal: dict[ChannelName, PersonalPart] = {ChannelName.SMTP: MailLinks(self.settings, self.wording)}
        if self.settings.sms_reply_secret is not None:
            personal[ChannelName.ALIYUN_SMS] = SmsCodes(self.stores.replies, self.wording)
        return [
            Deliver(
                channel,
                self.claims,
                self.stores.leases,
                self.stores.deliveries,
                self.clock,
                self.metrics,
                self.settings,
                self.name,
                on_deliveries=self.wake_lanes,
                siren=self.siren,
                personal=personal.get(channel.name),
            )
            for channel in self.channels
        ]

    def _climb(self) -> Climb:
        return Climb(
            self.stores.climbing,
            self.policies,
            self.clock,
            self.metrics,
            public_url=self.settings.public_url,
            wording=self.wording,
            on_deliveries=self.wake_lanes,
            siren=self.siren,
        )

    def _send_lists(self) -> SendLists:
        return SendLists(
            self.channels,
            self.stores.lists,
            self.clock,
            self.metrics,
            self.name,
            send_timeout_seconds=self.settings.send_timeout_seconds,
        )

    def _make_lists(self, sender: SendLists) -> MakeLists:
        return MakeLists(
            self.stores.lists,
            self.policies,
            self.clock,
            self.metrics,
            public_url=self.settings.public_url,
            wording=self.wording,
            on_lists=sender.wake,
        )

    def _reconcile(self, metrics: ReconcileMetrics) -> Reconcile:
        return Reconcile(self.stores.reconciling, self.clock, metrics, every_seconds=self.settings.reconcile_seconds)
