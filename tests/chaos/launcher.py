"""A service as its users start it, with hooks put in first: `python -m tests.chaos.launcher scorer serve`.

The hooks are read from SHOUWANG_CHAOS_HOOKS (see hooks.py); without any, this is nothing but the service.
"""

import os
import sys

from tests.chaos.hooks import HOOKS_VARIABLE, read_hooks


def main(service: str, arguments: list[str]) -> None:
    """Put the hooks in and become the service."""
    hooks = read_hooks(os.environ.get(HOOKS_VARIABLE) or "[]")
    if hooks:
        from tests.chaos.install import install

        install(service, hooks)
    sys.argv = [f"shouwang-{service}", *arguments]
    match service:
        case "ingest":
            from services.ingest.main import cli
        case "scorer":
            from services.scorer.main import cli
        case "notifier":
            from services.notifier.main import cli
        case _:
            sys.exit(f"there is no service {service}")
    cli()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
