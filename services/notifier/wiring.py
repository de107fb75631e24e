"""Joins the parts of the notifier: one straight line, left in reverse order, also after a failed start."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.app import create_app
from services.notifier.auth import ApiCallers
from services.notifier.channels.aliyun_sms import AliyunSms
from services.notifier.channels.ports import Channel
from services.notifier.channels.robots import DingtalkRobot, FeishuRobot, WecomRobot
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.channels.wecom_app import WecomApp
from services.notifier.console.alert_pages import AlertPages
from services.notifier.console.auth import Logins, Passwords
from services.notifier.console.digest_pages import DigestPages
from services.notifier.console.link_pages import LinkPages
from services.notifier.console.own_forms import OwnForms
from services.notifier.console.pages import STATIC, Pages
from services.notifier.console.queries import ConsoleQueries
from services.notifier.console.routes import Console
from services.notifier.core.words import Wording
from services.notifier.digesting import Digesting
from services.notifier.keep_silent import KeepSilent
from services.notifier.mail_links import MailLinks
from services.notifier.metrics import NotifierMetrics
from services.notifier.reconcile import ReconcileMetrics
from services.notifier.routes import add_reply_route, api_routes
from services.notifier.settings import NotifierSettings
from services.notifier.siren import Siren
from services.notifier.store.alerts import AlertStore
from services.notifier.store.claims import Claims
from services.notifier.store.stores import Stores
from services.notifier.take_replies import TakeReplies
from services.notifier.unusable_channels import warn_of_unusable_channels
from services.notifier.wording import read_wording
from services.notifier.workers import Workers
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.kafka import kafka_consumer
from shared.bus.progress import ProgressWatch
from shared.clock import Clock
from shared.db.access_keys import AccessKeys
from shared.db.clock import DatabaseClock
from shared.db.migrate import check_schema, newest_revision
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.http.bearer import KeyCache
from shared.http.health import Check, HttpMetrics
from shared.lifecycle import Work
from shared.metrics import ServiceMetrics
from shared.policy import Policies, load_policies
from shared.topics import GRADE_CHANGES

CONSUMER_GROUP = "shouwang-notifier"


@dataclass(frozen=True, slots=True)
class Notifier:
    """A notifier ready to run: the HTTP app and the tasks that must stay alive beside it."""

    app: FastAPI
    tasks: Mapping[str, Work]


@asynccontextmanager
async def notifier(
    settings: NotifierSettings, registry: CollectorRegistry, clock: Clock | None = None
) -> AsyncIterator[Notifier]:
    """Open everything the notifier needs. Raises TemporaryFailure when Kafka or the database's schema is not there.

    clock: by default the database's.
    """
    name = settings.instance or f"{socket.gethostname()}-{os.getpid()}"
    metrics = ServiceMetrics("notifier", registry)
    notifier_metrics = NotifierMetrics(metrics)
    policies = load_policies(settings.policies)
    wording = read_wording()
    newest = newest_revision()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, f"shouwang-notifier {name}"))
        await check_schema(engine, newest)
        database_clock = DatabaseClock(engine)
        await database_clock.ask()
        clock = clock or database_clock
        consumer = await stack.enter_async_context(
            kafka_consumer(
                settings.kafka_bootstrap_servers,
                CONSUMER_GROUP,
                GRADE_CHANGES,
                f"shouwang-notifier-{name}",
                topic_prefix=settings.kafka_topic_prefix,
                instance_id=settings.instance,
            )
        )
        stores = Stores.on(engine, policies)
        await warn_of_unusable_channels(stores.directory, settings)
        workers = Workers(
            stores,
            Claims(engine, Digesting(policies, settings.public_url, wording)),
            await open_channels(stack, settings, clock),
            Siren(settings.siren_file, clock, notifier_metrics),
            settings,
            clock,
            policies,
            wording,
            notifier_metrics,
            name,
        )
        handler = workers.raise_alert(AlertStore(engine, Positions(engine, CONSUMER_GROUP, name)))
        loop = ConsumerLoop(consumer, handler, LoopMetrics(metrics))
        keys = KeyCache(AccessKeys(engine), clock)

        async def schema_is_ours() -> None:
            await check_schema(engine, newest)

        checks = {"database": schema_is_ours, "partitions": loop.check_ready, "keys": keys.check_ready}
        passwords = Passwords()
        stack.callback(passwords.close)
        web = Web(settings, clock, policies, keys, passwords, notifier_metrics, HttpMetrics(metrics), registry, wording)
        app = web.app(stores, ConsoleQueries(engine), checks)
        tasks: dict[str, Work] = {
            "consume": loop.run,
            "progress": ProgressWatch(loop, consumer).run,
            "keys": keys.run,
            "clock": database_clock.run,
            **workers.tasks(ReconcileMetrics(metrics)),
        }
        yield Notifier(app, tasks)


@dataclass(frozen=True, slots=True)
class Web:
    """What API and console are made of, beside the database."""

    settings: NotifierSettings
    clock: Clock
    policies: Policies
    keys: KeyCache
    passwords: Passwords
    metrics: NotifierMetrics
    http_metrics: HttpMetrics
    registry: CollectorRegistry
    wording: Wording

    def app(self, stores: Stores, queries: ConsoleQueries, checks: Mapping[str, Check]) -> FastAPI:
        """Join API and console; needs no log."""
        logins = Logins(stores.directory, stores.sessions, self.passwords, self.clock, self.settings)
        act = ActOnAlert(stores.acts, self.clock, self.policies, self.wording)
        silent = KeepSilent(stores.silences, stores.rosters, self.clock, self.policies)
        pages = Pages(self.policies, self.clock, self.wording)
        forms = OwnForms(self.settings.public_url)
        alert_pages = AlertPages(pages, logins, queries, stores.reader, act, forms, stores.silences, self.clock)
        links = MailLinks(self.settings, self.wording)
        link_pages = LinkPages(pages, links, stores.directory, queries, stores.reader, act, self.clock)
        more = [alert_pages.routes(), DigestPages(pages, logins, queries).routes(), link_pages.routes()]
        console = Console(pages, logins, queries, forms, more, self.metrics)
        secret = self.settings.sms_reply_secret
        replies = TakeReplies(
            secret.get_secret_value() if secret else None,
            stores.replies,
            stores.directory,
            act,
            self.clock,
            self.metrics,
        )
        api = api_routes(ApiCallers(self.keys, logins), stores.reader, act, stores.why, silent)
        add_reply_route(api, replies)
        return create_app(
            self.registry,
            checks,
            self.http_metrics,
            api,
            console.routes(),
            STATIC,
            https=self.settings.is_https,
        )


async def open_channels(stack: AsyncExitStack, settings: NotifierSettings, clock: Clock) -> list[Channel]:
    """Open every channel; the stack closes them."""
    kinds = (SmtpChannel, WebhookChannel, WecomRobot, WecomApp, DingtalkRobot, FeishuRobot, AliyunSms)
    channels: list[Channel] = [kind(settings, clock) for kind in kinds]
    for channel in channels:
        stack.push_async_callback(channel.close)
    return channels
