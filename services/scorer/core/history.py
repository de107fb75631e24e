"""The known history of a household: which events count at all, and with which payload.

Refused events are taken out, then the first delivery of each identity wins. A refuted event is as if never sent;
a corrected one has its patched payload from the start. Events about events, and the register's, stand beyond dispute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.events.catalogue import EVENT_TYPES, can_be_disputed, refused_from_self
from shared.events.checking import readable
from shared.events.effects import About, Register
from shared.events.household_event import HouseholdEvent, Identity, SourceClass
from shared.events.payloads import Correction, Payload, Reference

Patch = Mapping[str, object]


class Target(NamedTuple):
    """What an event about another event says: which one, and the correction if it is one."""

    identity: Identity
    patch: Patch | None


@dataclass(slots=True)
class Orphans:
    """What is known about events that have not come yet: verified from a day (ordinal), refuted, corrected."""

    verified: dict[Identity, int] = field(default_factory=dict)
    refuted: set[Identity] = field(default_factory=set)
    corrected: dict[Identity, tuple[Patch, ...]] = field(default_factory=dict)

    def copy(self) -> Orphans:
        """An independent copy."""
        return Orphans(dict(self.verified), set(self.refuted), dict(self.corrected))

    def __bool__(self) -> bool:
        return bool(self.verified or self.refuted or self.corrected)


@dataclass(frozen=True, slots=True)
class KnownHistory:
    """The events that count, in order, each with its corrections; and what was said about events still to come."""

    events: list[tuple[HouseholdEvent, tuple[Patch, ...]]]
    orphans: Orphans


def is_refused(event: HouseholdEvent) -> bool:
    """Whether an event has no effect because a household may not say such a thing about itself."""
    return event.source_class is SourceClass.SELF and refused_from_self(event.type)


def about_of(event: HouseholdEvent) -> About | None:
    """What an event says about another one, if it does."""
    event_type = EVENT_TYPES.get(event.type)
    effect = event_type.effects[0] if event_type else None
    return effect if isinstance(effect, About) else None


def register_of(event: HouseholdEvent) -> Register | None:
    """What an event does in the register, if it does."""
    event_type = EVENT_TYPES.get(event.type)
    effect = event_type.effects[0] if event_type else None
    return effect if isinstance(effect, Register) else None


def target_of(event: HouseholdEvent) -> Target | None:
    """Which event another one is about; None if it does not say so readably."""
    payload = readable(EVENT_TYPES[event.type], event.payload)
    if not isinstance(payload, Reference):
        return None
    patch = payload.payload if isinstance(payload, Correction) else None
    return Target((payload.ref_source or event.source, payload.ref), patch)


def settle(events: Iterable[HouseholdEvent]) -> KnownHistory:
    """Work out the known history from all deliveries, given in the order of recording."""
    known: dict[Identity, HouseholdEvent] = {}
    for event in events:
        if not is_refused(event):
            known.setdefault(event.identity, event)
    said = _disputes(known.values())
    gone = {identity for identity in said.refuted if identity in known and can_be_disputed(known[identity].type)}
    kept = [event for identity, event in known.items() if identity not in gone and not _dispute_or_about(event, gone)]
    settled = [(event, said.corrected.get(event.identity, ()) if can_be_disputed(event.type) else ()) for event in kept]
    orphans = Orphans(
        refuted={identity for identity in said.refuted if identity not in known},
        corrected={identity: patches for identity, patches in said.corrected.items() if identity not in known},
    )
    return KnownHistory(settled, orphans)


def _disputes(events: Iterable[HouseholdEvent]) -> Orphans:
    said = Orphans()
    for event in events:
        about = about_of(event)
        target = target_of(event) if about in (About.REFUTED, About.CORRECTED) else None
        if target and target.patch is None:
            said.refuted.add(target.identity)
        elif target and target.patch is not None:
            said.corrected[target.identity] = (*said.corrected.get(target.identity, ()), target.patch)
    return said


def _dispute_or_about(event: HouseholdEvent, gone: set[Identity]) -> bool:
    # Disputes are dealt with above; a verification of an event that is gone says nothing any more.
    about = about_of(event)
    if about is About.VERIFIED:
        target = target_of(event)
        return target is not None and target.identity in gone
    return about is not None


def read_corrected(event: HouseholdEvent, patches: tuple[Patch, ...]) -> tuple[Payload | None, bool]:
    """Read a payload with its corrections, passing over one that would make it unreadable.

    Returns the payload (None: unreadable even without corrections) and whether every correction fitted.
    """
    event_type = EVENT_TYPES[event.type]
    merged: Patch = event.payload
    for patch in patches:
        merged = {**merged, **patch}
    payload = readable(event_type, merged)
    if payload is not None or not patches:
        return payload, True
    return _read_one_by_one(event, patches), False


def _read_one_by_one(event: HouseholdEvent, patches: tuple[Patch, ...]) -> Payload | None:
    event_type = EVENT_TYPES[event.type]
    merged, payload = event.payload, None
    for patch in ({}, *patches):
        patched = {**merged, **patch}
        read = readable(event_type, patched)
        if read is not None:
            merged, payload = patched, read
    return payload
