"""When so many records of a partition cannot be applied that the fault is more likely ours than theirs.

A release that reads its records wrongly, or a writer of something else on our topic, would empty the log into the
quarantine. So the partition stops before the record that goes over a limit, and a person looks. Offsets stand for
records here: on this topic each record has the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

IN_A_ROW = 20
WINDOW = 1_000
MOST_IN_WINDOW = WINDOW // 100


@dataclass(frozen=True, slots=True)
class Refusals:
    """The newest offsets, rising, at which a record of a partition was refused.

    first_offset: where the reading of the partition began; a share is worked out only once a window lies behind that.
    """

    first_offset: int
    offsets: tuple[int, ...] = ()

    def with_more(self, offsets: Sequence[int]) -> "Refusals":
        """Return these and others, without what no limit can ask for any more."""
        known = sorted({*self.offsets, *offsets})
        return Refusals(self.first_offset, tuple(one for one in known if one > known[-1] - WINDOW) if known else ())


def limit_passed(before: Refusals, refused: Sequence[int], free_below: int = 0) -> str | None:
    """Tell whether refusing these records too goes over a limit, and which one; None if not.

    refused: offsets, rising, all after those known. free_below: below this offset no limit applies.
    """
    counted = [offset for offset in before.offsets if offset >= free_below]
    for offset in refused:
        if offset < free_below:
            continue
        counted.append(offset)
        if len(counted) >= IN_A_ROW and offset - counted[-IN_A_ROW] == IN_A_ROW - 1:
            return f"{IN_A_ROW} records in a row, up to offset {offset}, cannot be applied"
        in_window = sum(one > offset - WINDOW for one in counted)
        if in_window > MOST_IN_WINDOW and offset - before.first_offset + 1 >= WINDOW:
            return f"{in_window} of the {WINDOW:,} records up to offset {offset} cannot be applied"
    return None
