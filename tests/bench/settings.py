"""What a run of the benchmark was asked for."""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.places import REPOSITORY

DIRECTORY = REPOSITORY / ".local" / "bench"
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """quick: the short form, one round each. scale: of all sizes, to try a line out.

    directory: where servers, logs and results are kept.
    """

    quick: bool = False
    scale: float = 1.0
    directory: Path = DIRECTORY

    @property
    def rounds(self) -> int:
        """How often each figure is measured."""
        return 1 if self.quick else ROUNDS

    @property
    def is_full_size(self) -> bool:
        """Whether what this run measures may be published."""
        return not self.quick and self.scale == 1.0
