"""Reads the catalogues of words: one file of GNU gettext (.po) for each language, as `make words` keeps them."""

from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from services.notifier.core.words import Wording, Words

LOCALES = Path(__file__).parent / "locale"
CHINESE, ENGLISH = "zh_CN", "en"


def catalogue_file(language: str, folder: Path = LOCALES) -> Path:
    """Return where a language's catalogue lies."""
    return folder / language / "LC_MESSAGES" / "messages.po"


def read_wording() -> Wording:
    """Read both languages. Raises OSError, ValueError: an installation without its catalogues is broken."""
    return Wording(zh=_read(CHINESE), en=_read(ENGLISH))


def _read(language: str) -> Words:
    with catalogue_file(language).open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    # Compiled in memory: what stands in the text is what is said, and there is no second file that could be older.
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(GNUTranslations(compiled))
