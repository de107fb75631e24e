"""How something moves over a long run: a straight line through what was seen of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

SETTLING_SHARE = 0.25
"""Of a run, in which caches and pools fill; it does not count for the slope."""


@dataclass(slots=True)
class Series:
    """What was seen of one figure: (seconds since the beginning, value), in the order of time."""

    name: str
    unit: str
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, seconds: float, value: float) -> None:
        """Note a value."""
        self.points.append((seconds, value))

    @property
    def first(self) -> float:
        """The first value that counts."""
        return self._settled[0][1]

    @property
    def last(self) -> float:
        """The value at the end."""
        return self.points[-1][1]

    @property
    def most(self) -> float:
        """The greatest value of all."""
        return max(value for _, value in self.points)

    @property
    def slope_per_hour(self) -> float:
        """By how much it would grow in an hour, going on as after the first quarter."""
        return slope(self._settled) * 3600

    @property
    def _settled(self) -> Sequence[tuple[float, float]]:
        from_seconds = self.points[-1][0] * SETTLING_SHARE
        return [point for point in self.points if point[0] >= from_seconds]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that lies nearest to some points (least squares); 0 for fewer than two."""
    count = len(points)
    middle = sum(at for at, _ in points) / count if count else 0.0
    spread = sum((at - middle) ** 2 for at, _ in points)
    return sum((at - middle) * value for at, value in points) / spread if spread else 0.0
