"""Say at once, and not at the first alert, that somebody is to be told by a channel that is not set up."""

from collections.abc import Iterable

from services.notifier.core.vendor_codes import field_of, fix_of
from services.notifier.settings import NotifierSettings
from services.notifier.store.directory import Directory
from services.notifier.store.rows import Contact
from shared.alerts import ChannelName
from shared.logs import get_logger

log = get_logger(__name__)


def unusable_fields(contacts: Iterable[Contact], settings: NotifierSettings) -> list[str]:
    """Return what of a person's ways cannot be used with these settings, each with its field and the fix."""
    not_set_up = settings.channels_not_set_up
    return [_words(one.channel) for one in contacts if one.channel in not_set_up]


async def warn_of_unusable_channels(directory: Directory, settings: NotifierSettings) -> None:
    """Log each channel that people have and the settings lack. Raises TemporaryFailure."""
    for channel, people in (await directory.people_by_channel(settings.channels_not_set_up)).items():
        log.warning("people cannot be told by a channel that is not set up", people=people, fix=_words(channel))


def _words(channel: ChannelName) -> str:
    return f"{field_of(channel)}: {fix_of(channel, 'not_set_up')}"
