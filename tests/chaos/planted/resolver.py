"""A name server at a switch, for the fault that names cannot be resolved. No bug, but put in place like one."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.notifier.channels import addresses
from tests.chaos.planted.patching import swap

RESOLVER_VARIABLE = "SHOUWANG_CHAOS_RESOLVER"
"""Names the file that says what becomes of look-ups: `fail`, `hang <seconds>`; no file: they work."""


def resolver_at_a_switch() -> None:
    """Look-ups of webhooks' hosts fail or hang as the file says."""
    switch = Path(os.environ[RESOLVER_VARIABLE])

    def switched(look_up: Callable[[str, int], list[str]]) -> Any:
        def look_up_or_not(host: str, port: int) -> list[str]:
            order = switch.read_text(encoding="ascii").split() if switch.exists() else []
            if order[:1] == ["fail"]:
                raise socket.gaierror(socket.EAI_AGAIN, "the name server does not answer")
            if order[:1] == ["hang"]:
                # In a thread of the notifier's own for look-ups, as a real resolver would.
                time.sleep(float(order[1]))
            return look_up(host, port)

        return look_up_or_not

    swap(addresses, "_look_up", switched)
