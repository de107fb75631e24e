"""What arrives next: of every hundred arrivals, so many of each kind, in an order drawn from the seed."""

from collections import deque
from collections.abc import Mapping, Sequence

from tests.chaos.field_app import FieldEvent, Form, Kind
from tests.chaos.maker import EventMaker, Home, can_be_spoken_about
from tests.chaos.sender import Parcel

OF_A_HUNDRED: Mapping[Kind, int] = {
    Kind.NORMAL: 69,
    Kind.SERIOUS: 11,
    Kind.DUPLICATE: 7,
    Kind.CONFLICT: 1,
    Kind.LATE: 4,
    Kind.REORDERED: 3,
    Kind.BATCH: 3,
    Kind.INVALID: 2,
}
FRESH_SHARE = 0.6
"""So many of the first households are left in peace until their grave illness: green before, red after."""
ABOUT_OTHERS_SHARE = 0.06
BATCH_SIZES = (3, 8)
REMEMBERED = 400


class Mix:
    """Draws arrivals for some households and, when no fresh one is left for a grave illness, for new ones."""

    hot_share: float = 0.0
    """Share of the ordinary events that go to the first household that lives an ordinary life."""

    def __init__(self, maker: EventMaker, households: int) -> None:
        self._maker = maker
        self._chance = maker.chance
        self.homes = {home.id: home for home in map(maker.home, range(households))}
        homes = list(self.homes.values())
        fresh = round(FRESH_SHARE * households)
        self._fresh = deque(homes[:fresh])
        self._ordinary = homes[fresh:]
        self._recent: deque[FieldEvent] = deque(maxlen=REMEMBERED)
        self._deck: list[Kind] = []

    def next(self, intended: float) -> Sequence[Parcel]:
        """The next arrival; parcels in the order in which they are to be sent."""
        kind = self._draw_kind()
        match kind:
            case Kind.SERIOUS:
                return self._serious(intended)
            case Kind.DUPLICATE:
                return self._alone(self._maker.repeat(self._chance.choice(self._recent), intended))
            case Kind.CONFLICT:
                earlier = self._chance.choice(self._recent)
                return self._alone(self._maker.conflict(earlier, self.homes[earlier.household], intended))
            case Kind.LATE:
                return self._alone(self._maker.late(self._someone(), intended))
            case Kind.REORDERED:
                first, second = self._maker.swapped(self._someone(), intended)
                return [*self._alone(first), *self._alone(second)]
            case Kind.BATCH:
                return self._batch(intended)
            case Kind.INVALID:
                return self._alone(self._maker.invalid(self._someone(), intended))
            case _:
                return self._alone(self._normal(intended))

    def _draw_kind(self) -> Kind:
        if not self._deck:
            self._deck = [kind for kind, share in OF_A_HUNDRED.items() for _ in range(share)]
            self._chance.shuffle(self._deck)
        kind = self._deck.pop()
        needs_an_earlier_one = kind in (Kind.DUPLICATE, Kind.CONFLICT)
        return Kind.NORMAL if needs_an_earlier_one and not self._recent else kind

    def _someone(self) -> Home:
        if self.hot_share and self._chance.random() < self.hot_share:
            return self._ordinary[0]
        return self._chance.choice(self._ordinary)

    def _alone(self, event: FieldEvent) -> Sequence[Parcel]:
        if event.kind not in (Kind.DUPLICATE, Kind.CONFLICT, Kind.INVALID):
            self._recent.append(event)
        return [Parcel([event])]

    def _normal(self, intended: float) -> FieldEvent:
        if self._chance.random() < ABOUT_OTHERS_SHARE:
            earlier = [event for event in self._recent if can_be_spoken_about(event)]
            if earlier:
                chosen = self._chance.choice(earlier)
                return self._maker.about(chosen, self.homes[chosen.household], Kind.NORMAL, intended)
        return self._maker.everyday(self._someone(), Kind.NORMAL, intended)

    def _serious(self, intended: float) -> Sequence[Parcel]:
        parcels: list[Parcel] = []
        if self._fresh:
            home = self._fresh.popleft()
        else:
            home = self._maker.home(len(self.homes))
            self.homes[home.id] = home
            parcels.append(Parcel([self._maker.enrolment(home, intended)]))
        self._ordinary.append(home)
        return [*parcels, *self._alone(self._maker.serious(home, intended))]

    def _batch(self, intended: float) -> Sequence[Parcel]:
        """Events of one app's households, some of them the same; now and then a faulty one and a repeated one."""
        source = self._chance.choice(self._ordinary).source
        homes = [home for home in self._ordinary if home.source == source]
        events = [
            self._maker.everyday(self._chance.choice(homes), Kind.BATCH, intended)
            for _ in range(self._chance.randint(*BATCH_SIZES))
        ]
        self._recent.extend(events)
        if self._chance.random() < 0.3:
            place = self._chance.randrange(len(events))
            events.insert(place, self._maker.invalid(self._chance.choice(homes), intended, whole_json=True))
        if self._chance.random() < 0.3:
            events.append(self._maker.repeat(self._chance.choice(self._recent), intended))
        return [Parcel(events, self._chance.choice((Form.JSON_BATCH, Form.LINES)))]
