"""What a flood brings: of an affected household, three events within the hour, in villages that lie together.

Of the affected, 3.2 % have a damaged house and 0.2 % no water; most lose crops, and help comes at once.
"""

from collections.abc import Sequence
from random import Random

from deploy.demo.draw import as_amount, log_normal_yuan, pick
from deploy.demo.happenings import CADRE, CIVIL, GRID, HOUSING, Happening, Payload

EVENTS_A_HOUSEHOLD = 3


def _flood(chance: Random) -> Payload:
    return {"hazard": "flood", "crop_loss_yuan": as_amount(chance, log_normal_yuan(chance, 1_500, 0.7))}


def _loss(chance: Random) -> Payload:
    return {"amount_yuan": as_amount(chance, log_normal_yuan(chance, 2_000, 0.7))}


def _relief(chance: Random) -> Payload:
    return {"amount_yuan": as_amount(chance, log_normal_yuan(chance, 2_000, 0.6))}


def _visit(chance: Random) -> Payload:
    return {"result": pick(chance, {"no_change": 900, "concern": 90, "emergency": 10})}


def _house(chance: Random) -> Payload:
    return {"grade": pick(chance, {"B": 116, "C": 47, "D": 13})}


# Weights are shares of the flood's events, in per mille.
FLOOD: Sequence[Happening] = (
    Happening("disaster.natural", 333, GRID, _flood),
    Happening("farm.crop_loss", 250, GRID, _loss),
    Happening("farm.livestock_loss", 46, GRID, _loss),
    Happening("relief.disaster_relief", 200, CIVIL, _relief),
    Happening("survey.visit", 160, CADRE, _visit),
    Happening("housing.danger", 10, HOUSING, _house),
    Happening("water.failure", 1, GRID, lambda _: {"kind": "supply"}),
)
