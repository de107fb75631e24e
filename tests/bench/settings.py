"""What a run of the benchmark was asked for."""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.places import REPOSITORY

DIRECTORY = REPOSITORY / ".local" / "bench"
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """patterns: names of lines. quick: the short form, one round each. scale: of all sizes, to try a line out.

    directory: where servers, logs and results are kept.
    """

    patterns: tuple[str, ...] = ("*",)
    quick: bool = False
    scale: float = 1.0
    directory: Path = DIRECTORY

    @property
    def rounds(self) -> int:
        """How often each figure is measured."""
        return 1 if self.quick else ROUNDS

    @property
    def is_whole(self) -> bool:
        """Whether this is the run that may be published: every line at its full size."""
        return not self.quick and self.scale == 1.0 and self.patterns == ("*",)
