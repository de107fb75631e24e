"""The judge of a chaos run.

`await check(Evidence(directory=..., dsn=..., run=..., windows=[...]))` gives a `Verdict`. It trusts the client's
journal, the bytes that were sent, the devices' journal, the nemesis' journal and what stands in the tables; it asks no
service. Grades are judged by the second reading of the rules, tests/rules/reference.py.

Not judged, since not built: the audit chain (I10), and escalations (the second half of I7).
"""

from tests.chaos.checker.check import check
from tests.chaos.checker.evidence import Caps, Evidence, Recovery, Sample
from tests.chaos.checker.position_log import POSITION_LOG_DDL
from tests.chaos.checker.verdict import ANOMALIES, Verdict

__all__ = ["ANOMALIES", "POSITION_LOG_DDL", "Caps", "Evidence", "Recovery", "Sample", "Verdict", "check"]
