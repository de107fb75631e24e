"""Where the local platform keeps its files."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Fetched once, the same for every run directory.
CACHE = REPOSITORY / ".local" / "cache"
