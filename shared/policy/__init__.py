"""The policy: every number, word and deadline that a jurisdiction may set, versioned, as one checked JSON file.

A decision names the policy version that made it. Day t is judged by the version in force on t, in the most specific
jurisdiction that the household's division lies in.
"""

from shared.policy.book import PolicyBook, Windows
from shared.policy.comparison import ABSENT, Difference, compare
from shared.policy.faults import PolicyFault, PolicyInvalid
from shared.policy.jurisdictions import Policies, Stay
from shared.policy.model import Policy
from shared.policy.numbers import CountedDays, IntegerBand, Numbers
from shared.policy.reading import default_policies, load_policies, load_policy, parse_policy, read_policies
from shared.policy.sections import (
    Area,
    AreaLevel,
    Band,
    Bands,
    Burst,
    ByLevel,
    Causes,
    Delivery,
    Elimination,
    Floors,
    GradeBounds,
    Hysteresis,
    Look,
    MeasureText,
    MessagesPerPerson,
    PlanStep,
    Ratio,
    Role,
    Score,
    Step,
    Tier,
    TimeOfDay,
    Timetable,
    WeeklyList,
)

__all__ = [
    "ABSENT",
    "Area",
    "AreaLevel",
    "Band",
    "Bands",
    "Burst",
    "ByLevel",
    "Causes",
    "CountedDays",
    "Delivery",
    "Difference",
    "Elimination",
    "Floors",
    "GradeBounds",
    "Hysteresis",
    "IntegerBand",
    "Look",
    "MeasureText",
    "MessagesPerPerson",
    "Numbers",
    "PlanStep",
    "Policies",
    "Policy",
    "PolicyBook",
    "PolicyFault",
    "PolicyInvalid",
    "Ratio",
    "Role",
    "Score",
    "Stay",
    "Step",
    "Tier",
    "TimeOfDay",
    "Timetable",
    "WeeklyList",
    "Windows",
    "compare",
    "default_policies",
    "load_policies",
    "load_policy",
    "parse_policy",
    "read_policies",
]
