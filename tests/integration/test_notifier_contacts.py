"""Contacts in the database: the move out of the staff table and back, and what an import leaves."""

import asyncio

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from services.notifier.store.directory import read_register
from services.notifier.store.rows import Contact
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.db.migrate import alembic_config
from shared.db.session import transaction
from shared.db.tables import METADATA
from shared.db.tables.notifier import contact
from tests.fakes.notifier import NOW, SECRET, VILLAGE, Parts, make_person

pytestmark = pytest.mark.integration


@pytest.fixture
def parts(engine):
    return Parts(engine, SettableClock(NOW))


async def rows_of(engine, statement):
    async with transaction(engine) as connection:
        return [tuple(row) for row in await connection.execute(statement)]


async def test_contacts_move_out_of_the_staff_table_and_back(parts, engine, database_url):
    people = make_person("cadre-1", webhook_url="https://hooks.example/x"), make_person("grid-1", "grid")
    await parts.people(*people, make_person("team-1", "village_team", email=None, webhook_url="https://h.example/"))
    config = alembic_config(database_url)
    before = await rows_of(engine, select(contact).order_by(contact.c.staff_id, contact.c.channel))
    await asyncio.to_thread(command.downgrade, config, "0004")
    old = text("SELECT staff_id, email, webhook_url, webhook_secret FROM staff ORDER BY staff_id")
    assert await rows_of(engine, old) == [
        ("cadre-1", "cadre-1@staff.example", "https://hooks.example/x", SECRET),
        ("grid-1", "grid-1@staff.example", None, None),
        ("team-1", None, "https://h.example/", SECRET),
    ]
    await asyncio.to_thread(command.upgrade, config, "head")
    after = await rows_of(engine, select(contact).order_by(contact.c.staff_id, contact.c.channel))
    assert [(*row[:4], row[5]) for row in after] == [(*row[:4], row[5]) for row in before]


async def test_the_tables_are_what_the_migrations_make(engine):
    async with engine.connect() as connection:

        def differences(plain):
            kept = {"alembic_version"}
            found = compare_metadata(MigrationContext.configure(plain, opts={"compare_type": True}), METADATA)
            return [one for one in found if getattr(one[1], "name", None) not in kept]

        assert await connection.run_sync(differences) == []


async def test_an_import_leaves_the_contacts_of_the_list_and_no_others(parts, engine):
    robot = Contact(ChannelName.WECOM_ROBOT, "token-1")
    await parts.people(make_person("cadre-1", contacts=[robot]), make_person("grid-1", "grid", contacts=[robot]))
    async with transaction(engine) as connection:
        await connection.execute(contact.update().values(disabled_at=NOW))
    phone = Contact(ChannelName.ALIYUN_SMS, "13800000000")
    await parts.people(make_person("cadre-1", email=None, contacts=[phone, robot]))
    cadre, grid = await parts.directory.find("cadre-1"), await parts.directory.find("grid-1")
    assert cadre.contacts == (phone, robot)
    assert [one.disabled_at for one in grid.contacts] == [NOW, NOW]


async def test_of_chat_and_text_messages_only_the_persons_first_is_used_at_once(parts):
    contacts = [Contact(ChannelName.ALIYUN_SMS, "13800000000"), Contact(ChannelName.WECOM_ROBOT, "token-1")]
    await parts.people(make_person("cadre-1", webhook_url="https://hooks.example/x", contacts=contacts))
    async with transaction(parts.engine) as connection:
        register = await read_register(connection, [VILLAGE])
    (person,) = register.staff
    assert person.channels == (ChannelName.SMTP, ChannelName.WEBHOOK, ChannelName.ALIYUN_SMS)
    targets = [register.target("cadre-1", one.channel) for one in contacts]
    assert targets[0].startswith("aliyun_sms:")
    assert "13800000000" not in str(targets)
    assert "token-1" not in str(targets)
