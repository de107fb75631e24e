"""`make run`, with stand-ins for the three services: the process that tests start, signal and kill."""

import sys
from pathlib import Path

from deploy.local.run import main

STAND_IN = Path(__file__).with_name("stand_in.py")


def command(service: str, *arguments: str) -> list[str]:
    return [sys.executable, str(STAND_IN), service, *arguments]


if __name__ == "__main__":
    sys.exit(main(command))
