"""Keeps the notifier's catalogues in step with its code: `python -m deploy.words`; `--check` writes nothing.

A message that is new in the code gets its place in each catalogue, one that nobody says any more goes. English says
what the code says until somebody words it better; Chinese is written by people.
"""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from services.notifier.wording import CHINESE, ENGLISH, LOCALES, catalogue_file

REPOSITORY = Path(__file__).parents[1]
CODE = REPOSITORY / "services" / "notifier"
METHODS = (("**/templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python"))
_GENERATED_BY = re.compile(rb'^"Generated-By: .*"\n', re.MULTILINE)
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)[ds]|%)")


def messages_of(code: Path) -> Catalog:
    """Return every message that the code under a folder says, with the files that say it."""
    found = Catalog()
    for name, line, message, _, context in extract_from_dir(code, METHODS):
        found.add(message, locations=[((code / name).relative_to(code.parents[1]).as_posix(), line)], context=context)
    return found


def updated(file: Path, language: str, said: Catalog) -> Catalog:
    """Return a language's catalogue as it should be: the messages that are said, each with the words it has."""
    with file.open("rb") as text:
        catalogue = read_po(text, locale=language, abort_invalid=True)
    catalogue.update(said, no_fuzzy_matching=True, update_creation_date=False)
    if language == ENGLISH:
        for message in _messages(catalogue):
            if not all(_strings(message)):
                message.string = message.id
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue's text. Without line numbers, and in the messages' own order: moving code changes nothing."""
    text = BytesIO()
    write_po(text, catalogue, width=0, sort_output=True, ignore_obsolete=True, include_lineno=False)
    return _GENERATED_BY.sub(b"", text.getvalue())


def faults_of(catalogue: Catalog) -> Iterator[str]:
    """Yield what is wrong with a catalogue's words."""
    for message in _messages(catalogue):
        name, wanted = _ids(message)[0], _placeholders(_ids(message)[-1])
        if not all(string.strip() for string in _strings(message)):
            yield f"{name!r}: says nothing"
            continue
        if message.fuzzy:
            yield f"{name!r}: is marked as fuzzy; look at it and take the mark away"
        yield from (f"{name!r}: {error}" for error in message.check(catalogue))
        for string in _strings(message):
            if (found := _placeholders(string)) != wanted:
                yield f"{name!r}: its placeholders are {_named(wanted)}, not {_named(found)}"
            if "%" in _PLACEHOLDER.sub("", string):
                yield f"{name!r}: write a percent sign twice"


def main(arguments: list[str], code: Path = CODE, locales: Path = LOCALES) -> int:
    """Write both catalogues, or with --check compare them with what would be written; 1 if anything is wrong."""
    said, wrong = messages_of(code), []
    for language in (CHINESE, ENGLISH):
        file = catalogue_file(language, locales)
        catalogue = updated(file, language, said)
        text = written(catalogue)
        if file.read_bytes() != text:
            if "--check" in arguments:
                wrong.append(f"{language}: is not what the code says; run `make words` and commit what it writes")
            else:
                file.write_bytes(text)
                print(f"written: {language}, {len(catalogue)} messages")
        wrong += [f"{language}: {fault}" for fault in faults_of(catalogue)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


def _messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _strings(message: Message) -> tuple[str, ...]:
    string = message.string or ""
    return (string,) if isinstance(string, str) else tuple(string)


def _placeholders(text: str) -> frozenset[str]:
    return frozenset(name for name in _PLACEHOLDER.findall(text) if name)


def _named(placeholders: frozenset[str]) -> str:
    return ", ".join(sorted(placeholders)) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
