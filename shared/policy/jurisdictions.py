"""Whose policy judges a household: that of the smallest division that has one, else the nation's.

Where a household lives can change. Day t is judged by the policy of the division in which the household was registered
at the end of t; so a move counts from 00:00 of the day on which it was recorded, and what the days before it were
judged by stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from shared.policy.book import PolicyBook, Windows

Stay = tuple[date, str]
"""From which day a household is registered in which division."""


class Policies:
    """The policy books of all jurisdictions, by what the codes of their divisions begin with; "" is the nation's."""

    def __init__(self, books: Iterable[PolicyBook], national: PolicyBook) -> None:
        """Take each jurisdiction's book, and the one for wherever none of them is in force.

        All books come to keep evidence for as long as any jurisdiction needs it: a household's state must not depend
        on where it lived when an event was let go.
        """
        given = {"": national} | {book.division_prefix: book for book in books}
        self._longest = Windows.longest(policy for book in given.values() for policy in book.versions)
        self.books = {prefix: PolicyBook(book.versions, longest=self._longest) for prefix, book in given.items()}
        self._digits = sorted({len(prefix) for prefix in self.books}, reverse=True)

    @property
    def national(self) -> PolicyBook:
        """The policy for divisions that have none of their own."""
        return self.books[""]

    def for_division(self, division: str) -> PolicyBook:
        """The policy of a division (12 digits): the most specific jurisdiction that it lies in."""
        for digits in self._digits:
            book = self.books.get(division[:digits])
            if book is not None:
                return book
        return self.national

    def along(self, stays: Sequence[Stay]) -> PolicyBook:
        """What a household is judged by from day to day.

        stays: where it was registered from which day on, in order, at least one; of several on one day the last counts,
        and the first also counts for all days before it. While all are under one policy, this is that policy's book.
        """
        turns = _turns(stays, self)
        if len(turns) == 1:
            return turns[0][1]
        found = [(turns[0][0], turns[0][1].on_ordinal(turns[0][0]))]
        ends = [day for day, _ in turns[1:]]
        for (day, book), end in zip(turns, [*ends, date.max.toordinal()], strict=True):
            if day > found[0][0]:
                found.append((day, book.on_ordinal(day)))
            change = book.next_change(day)
            while change is not None and change < end:
                found.append((change, book.on_ordinal(change)))
                change = book.next_change(change)
        return PolicyBook.of_turns(found, self._longest)


def _turns(stays: Sequence[Stay], policies: Policies) -> list[tuple[int, PolicyBook]]:
    """The days (ordinals) from which each book applies; neighbours differ, the first applies from the earliest day."""
    by_day = {day.toordinal(): policies.for_division(division) for day, division in stays[1:]}
    first_day, first_division = stays[0]
    first = by_day.pop(first_day.toordinal(), policies.for_division(first_division))
    turns = [(date.min.toordinal(), first)]
    for day in sorted(by_day):
        if by_day[day] is not turns[-1][1]:
            turns.append((day, by_day[day]))
    return turns
