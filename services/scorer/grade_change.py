"""Turns a change that the core decided into the message that tells of it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.scorer.core.dimensions import dimensions
from services.scorer.core.explain import measures, reasons
from services.scorer.core.grade import Decision
from shared.grades import DimensionGrade, GradeChanged, Reason, RiskGrade, Trigger
from shared.policy import Policy

CLOSED = Reason(
    code="HOUSEHOLD_CLOSED",
    text_zh="该户已销户，不再监测",
    text_en="the register has closed the household; it is not watched any more",
)


@dataclass(frozen=True, slots=True)
class Household:
    """What the message says of the household beside its grade."""

    household_id: str
    division: str
    alias: str | None


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why the household was judged again. The event's fields are None for a timer."""

    kind: Literal["event", "timer", "replay"]
    event_id: str | None = None
    source: str | None = None
    type: str | None = None
    recorded_at: datetime | None = None


def grade_change(
    household: Household,
    version: int,
    old: RiskGrade | None,
    decision: Decision,
    occasion: Occasion,
    now: datetime,
) -> GradeChanged:
    """Say that the household's held grade is now the decision's, with all that explains it."""
    return GradeChanged(
        id=f"{household.household_id}:{version}",
        household_id=household.household_id,
        alias=household.alias,
        division=household.division,
        version=version,
        old=None if old is None else old.code,
        new=decision.grade.code,
        on_day=decision.on_day,
        decided_at=now,
        trigger=Trigger(kind=occasion.kind, event_id=occasion.event_id, source=occasion.source, type=occasion.type),
        reasons=reasons(decision),
        causes=decision.causes,
        measures=measures(decision),
        figures=_figures(decision),
        dimensions=tuple(
            DimensionGrade(code=one.code, grade=one.grade.code, points=one.points) for one in dimensions(decision)
        ),
        event_ids=decision.event_ids,
        imputed=decision.imputed,
        data_gaps=decision.data_gaps,
        suggested_category=decision.suggested_category,
        policy=decision.policy_ref,
        recorded_at=occasion.recorded_at,
    )


def closing(
    household: Household,
    version: int,
    old: RiskGrade,
    policy: Policy,
    occasion: Occasion,
    on_day: date,
    now: datetime,
) -> GradeChanged:
    """Say that the household has no grade any more because the register has closed it."""
    return GradeChanged(
        id=f"{household.household_id}:{version}",
        household_id=household.household_id,
        alias=household.alias,
        division=household.division,
        version=version,
        old=old.code,
        new=RiskGrade.GREEN.code,
        on_day=on_day,
        decided_at=now,
        trigger=Trigger(kind=occasion.kind, event_id=occasion.event_id, source=occasion.source, type=occasion.type),
        reasons=(CLOSED,),
        policy=policy.ref,
        recorded_at=occasion.recorded_at,
        closed=True,
    )


def _figures(decision: Decision) -> dict[str, str | int | None]:
    figures: dict[str, str | int | None] = {"score": decision.score, "line_yuan": decision.policy.line_yuan}
    figures |= {f"score_{part}": points for part, points in decision.parts._asdict().items()}
    for name in ("raw_grade", "adjusted_per_capita", "ratio", "net_rigid", "rigid_share", "labour_ratio"):
        value = decision.result()[name]
        figures[name] = value if isinstance(value, str) else None
    return figures
