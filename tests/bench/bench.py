"""What a measurement works with: sizes, rounds, and the platform, which starts when the first line asks for it."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from tests.bench.line import Line, Rounds
from tests.bench.platform import BenchPlatform, open_platform
from tests.bench.progress import Progress
from tests.bench.settings import BenchSettings

Kept = TypeVar("Kept")
Figure = Callable[[], Awaitable[float]]


class Bench:
    """One run. `stack` is left at its end, and with it everything that a measurement has entered there."""

    def __init__(
        self, settings: BenchSettings, names: frozenset[str], progress: Progress, stack: AsyncExitStack
    ) -> None:
        self.settings = settings
        self.progress = progress
        self.stack = stack
        self._names = names
        self._platform: BenchPlatform | None = None
        self._kept: dict[object, object] = {}

    @property
    def rounds(self) -> int:
        """How often each figure is measured."""
        return self.settings.rounds

    def wants(self, *lines: Line) -> bool:
        """Whether one of these lines was asked for."""
        return any(line.name in self._names for line in lines)

    def scaled(self, size: int, *, quick: int | None = None, least: int = 1) -> int:
        """A size as this run wants it. quick: the size in a quick run, where that is another."""
        wanted = quick if self.settings.quick and quick is not None else size
        return max(least, round(wanted * self.settings.scale))

    async def platform(self) -> BenchPlatform:
        """Kafka and PostgreSQL, the same for the whole run."""
        if self._platform is None:
            self.progress.step("starting Kafka and PostgreSQL")
            self._platform = await self.stack.enter_async_context(open_platform(self.settings.directory))
        return self._platform

    @property
    def opened(self) -> BenchPlatform | None:
        """The platform, if a line has asked for it."""
        return self._platform

    async def kept(self, key: object, make: Callable[[], Awaitable[Kept]]) -> Kept:
        """What was made once under this key, for all measurements of the run; made now if it is not there."""
        if key not in self._kept:
            self._kept[key] = await make()
        return self._kept[key]  # type: ignore[return-value]

    async def alternate(self, ours: Figure, ceiling: Figure, *, remark: str = "") -> Rounds:
        """Measure both in turn, once a round; each call returns its figure."""
        values: list[float] = []
        ceilings: list[float] = []
        for number in range(1, self.rounds + 1):
            self.progress.step(f"round {number} of {self.rounds}")
            values.append(await ours())
            self.progress.step(f"round {number} of {self.rounds}, ceiling")
            ceilings.append(await ceiling())
        return Rounds(values, ceilings, remark)
