"""What the servers of the run spend: work that an entrant leaves to them is still work."""

from pathlib import Path

from deploy.local.children import read_record
from tests.bench.processes import tree_cpu_seconds


class Servers:
    """Broker and database of a run, by the records beside them; of servers that are not ours nothing is known."""

    def __init__(self, directory: Path) -> None:
        records = [read_record(directory / "servers" / "children" / f"{name}.json") for name in ("kafka", "postgres")]
        self._pids = [int(str(record["pid"])) for record in records if record is not None]

    def cpu_seconds(self) -> float | None:
        """Processor time so far of both; None when one of them is not ours."""
        return sum(map(tree_cpu_seconds, self._pids)) if len(self._pids) == 2 else None
