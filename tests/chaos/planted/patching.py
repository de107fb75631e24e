"""How a bug gets into a service: one attribute is replaced by what a function makes of it."""

from collections.abc import Callable
from typing import Any


def swap(owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Replace an attribute of a module or class. Raises AttributeError when production code no longer has it.

    A bug that finds nothing to patch must fail loudly: else the self-test would praise a checker that saw no bug.
    """
    setattr(owner, name, change(getattr(owner, name)))


async def nothing(*_: object, **__: object) -> None:
    """Stand in for a step that a bug leaves out."""
