"""Tables of the notifier: divisions, staff and their contacts, alerts, deliveries, sessions."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.db.tables.base import METADATA

UNDER_WAY = "status in ('open', 'acknowledged', 'visited')"

# The register of divisions: 12-digit codes, zero-filled at the tail for upper levels.
division = Table(
    "division",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    CheckConstraint("code ~ '^[0-9]{12}$'", name="code"),
)

# Who may be told, and who may log in. password_hash: argon2, null for people who do not use the console.
staff = Table(
    "staff",
    METADATA,
    Column("staff_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("division", Text, nullable=False),
    Column("password_hash", Text),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "role in ('cadre', 'grid', 'village_team', 'township', 'county', 'duty_officer')",
        name="role",
    ),
    Index("ix_staff_division", "division"),
)

# One way to tell a person. address: mailbox, URL, robot's token, account or phone number, as the channel wants it.
# place: the person's own order of them. disabled_at: the receiver said that it is gone; an import enables it again.
contact = Table(
    "contact",
    METADATA,
    Column("staff_id", Text, ForeignKey("staff.staff_id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("secret", Text),
    Column("place", SmallInteger, nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    CheckConstraint(
        "channel in ('smtp', 'webhook', 'wecom_robot', 'wecom_app', 'dingtalk', 'feishu', 'aliyun_sms')",
        name="channel",
    ),
    Index("ix_contact_address", "channel", "address"),
)

# Who takes turns when: a shift on each day from from_day to to_day, in the time of Asia/Shanghai. weekdays: 1 (Monday)
# to 7, null: all. A shift whose to_time is not after its from_time ends on the next day. overrides: for its time only
# such lines count.
duty = Table(
    "duty",
    METADATA,
    Column("duty_id", BigInteger, Identity(always=True), primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("division", Text, nullable=False),
    Column("from_day", Date, nullable=False),
    Column("to_day", Date, nullable=False),
    Column("weekdays", ARRAY(SmallInteger)),
    Column("from_time", Time, nullable=False),
    Column("to_time", Time, nullable=False),
    Column("note", Text),
    Column("overrides", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("role in ('township', 'county', 'duty_officer')", name="role"),
    CheckConstraint("from_day <= to_day", name="days"),
    Index("ix_duty_division", "division", "to_day"),
)

# Who is away from when (included) to when (not any more), and who hears instead.
absence = Table(
    "absence",
    METADATA,
    Column("absence_id", BigInteger, Identity(always=True), primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("from_at", DateTime(timezone=True), nullable=False),
    Column("to_at", DateTime(timezone=True), nullable=False),
    Column("stand_in", Text, ForeignKey("staff.staff_id")),
    CheckConstraint("from_at < to_at", name="span"),
    CheckConstraint("stand_in <> staff_id", name="stand_in"),
    Index("ix_absence_staff", "staff_id", "to_at"),
)

# Public holidays, and the workdays that make up for them.
holiday = Table(
    "holiday",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("name", Text, nullable=False),
    Column("is_workday", Boolean, nullable=False),
)

# household_version: the last change of grade that was taken in; older ones are ignored. change: that message's body.
# revision: what was told last; acknowledged_revision: what the owner had been told. plan: dated steps.
# causes_told: first causes that were told already. unreachable: nobody could be found to tell.
# climb_from: from when what people do counts for the present grade. counts_from: from when the timetable counts, if
# people could only hear later (null: from climb_from on). climbed: how many of its hops are made; timer_at: when the
# alert is looked at next without anybody's doing.
# silence_id, silenced_since, silenced_until: the silence that keeps the alert from being told now. untold: why people
# were going to be told when it did (a reason of alert_message); null: nothing waits to be told.
alert = Table(
    "alert",
    METADATA,
    Column("alert_id", Text, primary_key=True),
    Column("household_id", Text, nullable=False),
    Column("household_version", Integer, nullable=False),
    Column("alias", Text),
    Column("division", Text, nullable=False),
    Column("grade", SmallInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("change", JSONB, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("causes_told", ARRAY(Text), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("acknowledge_by", DateTime(timezone=True)),
    Column("visit_by", DateTime(timezone=True)),
    Column("owner", Text),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("acknowledged_revision", Integer),
    Column("closed_at", DateTime(timezone=True)),
    Column("unreachable", Boolean, nullable=False, server_default=text("false")),
    Column("visited_at", DateTime(timezone=True)),
    Column("climb_from", DateTime(timezone=True)),
    Column("climbed", SmallInteger, nullable=False, server_default=text("0")),
    Column("timer_at", DateTime(timezone=True)),
    Column("counts_from", DateTime(timezone=True)),
    Column("silence_id", BigInteger, ForeignKey("silence.silence_id")),
    Column("silenced_since", DateTime(timezone=True)),
    Column("silenced_until", DateTime(timezone=True)),
    Column("untold", Text),
    CheckConstraint("status in ('open', 'acknowledged', 'visited', 'resolved', 'withdrawn')", name="status"),
    CheckConstraint("grade between 0 and 4", name="grade"),
    Index("uq_alert_under_way", "household_id", unique=True, postgresql_where=text(UNDER_WAY)),
    Index("ix_alert_household", "household_id", "household_version"),
    Index("ix_alert_newest", "opened_at", "alert_id"),
    Index("ix_alert_division", "division", "opened_at", "alert_id", postgresql_ops={"division": "text_pattern_ops"}),
    Index("ix_alert_timer", "timer_at", "alert_id", postgresql_where=text("timer_at is not null")),
    Index("ix_alert_worst", text("grade desc"), "opened_at", "alert_id", postgresql_where=text(UNDER_WAY)),
    Index("ix_alert_silence", "silence_id", postgresql_where=text("silence_id is not null")),
)

# A time for which alerts of a division (12 digits: and of all below it), or of one household in it, are told to nobody.
# grades: which ones (0 to 4). owner: who answers for it, a staff_id or key:<id>. In force from created_at until
# until_at, or until somebody ended it.
silence = Table(
    "silence",
    METADATA,
    Column("silence_id", BigInteger, Identity(always=True), primary_key=True),
    Column("division", Text, nullable=False),
    Column("household_id", Text),
    Column("grades", ARRAY(SmallInteger), nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("until_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("ended_by", Text),
    CheckConstraint("created_at < until_at", name="span"),
    CheckConstraint("(ended_at is null) = (ended_by is null)", name="ended"),
    Index("ix_silence_until", "until_at"),
)

# The timeline, append-only. facts: grades and reason code of the step.
alert_step = Table(
    "alert_step",
    METADATA,
    Column("step_id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", Text, ForeignKey("alert.alert_id"), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
    Column("facts", JSONB, nullable=False),
    Index("ix_alert_step_alert", "alert_id", "step_id"),
)

# What is told about one revision, in its final words: a repeated attempt sends the same bytes.
# body: JSON for webhooks. brief: for chat groups and text messages. decided_at: when the scorer decided the change that
# is told. routing: whom the rules named at that time, and of everybody else in the division why not; null: told to
# those who had been told before.
alert_message = Table(
    "alert_message",
    METADATA,
    Column("alert_id", Text, ForeignKey("alert.alert_id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("brief", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("routing", JSONB(none_as_null=True)),
)

# Several deliveries to one person by one channel in one message, in its final words; columns that its channel does not
# send are empty. While it is pending it is this row that is leased and tried, for all its deliveries; what it has in
# common with delivery is meant of the digest as a whole (grade: the worst). deliveries: how many. earlier: alert_ids of
# its bursts that the person had been told of before.
digest = Table(
    "digest",
    METADATA,
    Column("digest_id", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("grade", SmallInteger, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("earlier", ARRAY(Text), nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("brief", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("leased_until", DateTime(timezone=True)),
    Column("leased_by", Text),
    Column("detail", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("message_id"),
    CheckConstraint("status in ('pending', 'sent', 'failed', 'suppressed')", name="status"),
    Index(
        "ix_digest_due",
        "channel",
        text("grade desc"),
        "next_attempt_at",
        "digest_id",
        postgresql_where=text("status = 'pending'"),
    ),
)

# One line per alert x revision x person x channel. message_id: the same over all attempts, so that a receiver can tell
# a repeat; of a delivery in a digest the digest's counts. grade: worse ones leave first. target: what is slow or fast
# as one (a webhook's host). detail: code of the last attempt. leased_until: the worker `leased_by` is sending; past it,
# another may. A delivery that nobody has ever leased or tried may go into a digest (digest_id); until the person's turn
# comes, next_attempt_at waits for it. passed_on_at: when it was decided that the person's next channel is tried besides
# (or that there is none). held: why it had to wait before the first attempt (stays as history); held_until: until when,
# null: until the person's day has room, looked for at next_attempt_at.
delivery = Table(
    "delivery",
    METADATA,
    Column("delivery_id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("routed_as", Text, nullable=False),
    Column("grade", SmallInteger, nullable=False),
    Column("target", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("leased_until", DateTime(timezone=True)),
    Column("leased_by", Text),
    Column("receipt", Text),
    Column("detail", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("passed_on_at", DateTime(timezone=True)),
    Column("digest_id", Text, ForeignKey("digest.digest_id")),
    Column("held", Text),
    Column("held_until", DateTime(timezone=True)),
    UniqueConstraint("alert_id", "revision", "staff_id", "channel"),
    UniqueConstraint("message_id"),
    ForeignKeyConstraint(["alert_id", "revision"], ["alert_message.alert_id", "alert_message.revision"]),
    CheckConstraint("status in ('pending', 'sent', 'failed', 'suppressed')", name="status"),
    Index(
        "ix_delivery_alone",
        "channel",
        text("grade desc"),
        "next_attempt_at",
        "delivery_id",
        postgresql_where=text("status = 'pending' and digest_id is null"),
    ),
    Index(
        "ix_delivery_person",
        "staff_id",
        "channel",
        "next_attempt_at",
        postgresql_where=text("status = 'pending' and digest_id is null"),
    ),
    CheckConstraint("held in ('quiet_hours', 'daily_cap')", name="held"),
    Index(
        "ix_delivery_waiting",
        "next_attempt_at",
        postgresql_where=text("status = 'pending' and held is not null and held_until is null"),
    ),
    Index("ix_delivery_digest", "digest_id", postgresql_where=text("digest_id is not null")),
)

# When a person may be sent the next message by a channel, for all replicas together: whoever begins one holds the row.
# recent: when messages began, oldest first, as far back as the policy's window looks. free_at: no new one before then.
# milder_free_at: none before then in which nothing is red.
person_turn = Table(
    "person_turn",
    METADATA,
    Column("staff_id", Text, ForeignKey("staff.staff_id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("recent", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("free_at", DateTime(timezone=True), nullable=False),
    Column("milder_free_at", DateTime(timezone=True), nullable=False),
)

# One row per attempt. outcome: sent, retry, failed or suppressed. detail: code such as http_500, smtp_450, timeout.
delivery_attempt = Table(
    "delivery_attempt",
    METADATA,
    Column("attempt_id", BigInteger, Identity(always=True), primary_key=True),
    Column("delivery_id", BigInteger, ForeignKey("delivery.delivery_id"), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_delivery_attempt_delivery", "delivery_id", "attempt_id"),
)

# What receivers with a limit were sent lately, by all replicas together. recent: when, oldest first, as far back as the
# limit looks. free_at: nothing more before then.
send_budget = Table(
    "send_budget",
    METADATA,
    Column("target", Text, primary_key=True),
    Column("recent", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("free_at", DateTime(timezone=True), nullable=False),
)

# By which code a person answers a text message about an alert; a person never has a code twice.
reply_code = Table(
    "reply_code",
    METADATA,
    Column("staff_id", Text, ForeignKey("staff.staff_id"), primary_key=True),
    Column("code", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey("alert.alert_id"), nullable=False),
    UniqueConstraint("staff_id", "alert_id"),
)

# Replies by text message that were taken in, by the vendor's name for each, so that a repeat changes nothing.
sms_reply = Table(
    "sms_reply",
    METADATA,
    Column("sequence_id", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False),
    Index("ix_sms_reply_at", "at"),
)

# The list of one week for one person: the row is there once it was made, also if it was empty. week: its Monday.
# staff_id: for whom; told: who gets it (somebody may stand in), null: nobody can. households: how many are on it.
# subject, text, body, brief: as in alert_message, null if nothing is sent.
weekly_list = Table(
    "weekly_list",
    METADATA,
    Column("list_id", BigInteger, Identity(always=True), primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("division", Text, nullable=False),
    Column("week", Date, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("told", Text, ForeignKey("staff.staff_id")),
    Column("households", Integer, nullable=False),
    Column("subject", Text),
    Column("text", Text),
    Column("body", Text),
    Column("brief", Text),
    UniqueConstraint("week", "staff_id", "division"),
)

# One line per list x channel; columns as in delivery.
list_delivery = Table(
    "list_delivery",
    METADATA,
    Column("list_delivery_id", BigInteger, Identity(always=True), primary_key=True),
    Column("list_id", BigInteger, ForeignKey("weekly_list.list_id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("leased_until", DateTime(timezone=True)),
    Column("leased_by", Text),
    Column("receipt", Text),
    Column("detail", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    UniqueConstraint("list_id", "channel"),
    UniqueConstraint("message_id"),
    CheckConstraint("status in ('pending', 'sent', 'failed')", name="status"),
    Index("ix_list_delivery_due", "next_attempt_at", postgresql_where=text("status = 'pending'")),
)

# Console sessions. token_sha256: the cookie itself is stored nowhere.
session = Table(
    "session",
    METADATA,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.staff_id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("ix_session_staff", "staff_id"),
    Index("ix_session_expires", "expires_at"),
)

# Records of the topic of grade changes that cannot be read, whole, with the reason.
notifier_quarantine = Table(
    "notifier_quarantine",
    METADATA,
    Column("quarantine_id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("topic_partition", Integer, nullable=False),
    Column("topic_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary),
    Column("quarantined_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("topic", "topic_partition", "topic_offset"),
)
