"""Writes docs/rules.md and docs/rules.zh-CN.md: `python -m deploy.rules_book`; `--check` exits 1 if they differ."""

import sys
from pathlib import Path

from deploy.rules_book.book import BOOKS, render

DOCS = Path(__file__).parents[2] / "docs"


def main(arguments: list[str]) -> int:
    """Write both files, or with --check compare them with what would be written."""
    differing = []
    for language, name in BOOKS.items():
        path, text = DOCS / name, render(language)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(name)
        if "--check" not in arguments:
            DOCS.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in differing:
        print(f"{'differs' if '--check' in arguments else 'written'}: docs/{name}")
    if differing and "--check" in arguments:
        print("run `python -m deploy.rules_book` and commit what it writes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
