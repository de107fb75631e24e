"""The invented county's places: codes begin with 99, which no real division has, and every name is made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

PROVINCE = "990000000000"
COUNTY = "990101000000"
VILLAGES_PER_TOWNSHIP = 20
FIRST_VILLAGE = 201
TOWNSHIPS = (("990101101000", "晨光镇"), ("990101102000", "望山镇"), ("990101103000", "清溪镇"))
_FIRST = ("青", "云", "松", "石", "竹", "柳", "泉", "稻", "桑", "梨")
_LAST = ("禾", "坪", "湾", "岭", "塘", "坝")


@dataclass(frozen=True, slots=True)
class Division:
    """A place: its code of 12 digits (upper levels end in zeros) and its name."""

    code: str
    name: str


def county_divisions(seed: int) -> Sequence[Division]:
    """The whole tree, from the province down: 1 county, 3 townships, 60 villages; names depend on the seed."""
    names = [f"{first}{last}村" for first in _FIRST for last in _LAST]
    Random(f"divisions:{seed}").shuffle(names)
    places = [Division(PROVINCE, "守望示范省（虚构）"), Division(COUNTY, "示范市守望县（虚构）")]
    for code, name in TOWNSHIPS:
        places.append(Division(code, name))
        for number in range(FIRST_VILLAGE, FIRST_VILLAGE + VILLAGES_PER_TOWNSHIP):
            places.append(Division(f"{code[:9]}{number}", names.pop()))
    return places


def is_village(code: str) -> bool:
    """Whether a code names a village."""
    return not code.endswith("000")


def township_of(village: str) -> str:
    """The township's code."""
    return f"{village[:9]}000"
