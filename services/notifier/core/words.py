"""The words of one language, and of the two that people are told in, as a value for whatever puts something into words.

The code says everything in English. What a language says instead stands in its catalogue (`wording` reads them); where
a catalogue lacks something the English stays. Placeholders are written %(name)s, and a percent sign twice.
"""

from dataclasses import dataclass
from typing import Protocol


class Catalogue(Protocol):
    """What is asked of a catalogue; gettext's are such."""

    def gettext(self, message: str) -> str:
        """Return a message in the catalogue's language."""
        ...

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the form of a message that goes with a number."""
        ...

    def pgettext(self, context: str, message: str) -> str:
        """Return a message that means this in one context, and something else in another."""
        ...


@dataclass(frozen=True, slots=True)
class Words:
    """One language. The names are gettext's: by them, messages are found in the code."""

    catalogue: Catalogue

    def gettext(self, message: str, **values: object) -> str:
        """Say a message. values: by the names of its placeholders."""
        return self.catalogue.gettext(message) % values

    def ngettext(self, one: str, many: str, count: int, **values: object) -> str:
        """Say a message with a number, which stands in it as %(count)d."""
        return self.catalogue.ngettext(one, many, count) % {"count": count, **values}

    def pgettext(self, context: str, message: str, **values: object) -> str:
        """Say a message that English says like another one. context: tells the two apart."""
        return self.catalogue.pgettext(context, message) % values


@dataclass(frozen=True, slots=True)
class Wording:
    """The two languages that people are told in."""

    zh: Words
    en: Words
