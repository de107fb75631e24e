"""Links that acknowledge: bound to alert, revision, person and time, and honoured under each secret in use."""

from datetime import timedelta

import pytest

from services.notifier.core.links import Link, LinkState, read_link
from tests.fakes.notifier import NOW, make_settings

OLD, NEW = "o" * 32, "n" * 32
LINK = Link("al1", 2, "cadre.1", NOW + timedelta(hours=24))
SIGNED = LINK.path(NEW).removeprefix("/sign/")


def test_a_link_that_was_signed_is_read_back():
    assert read_link(SIGNED, [NEW], NOW) == (LINK, LinkState.GOOD)


def test_a_link_outlives_the_secret_that_follows_its_own_but_not_its_own():
    assert read_link(LINK.path(OLD).removeprefix("/sign/"), [NEW, OLD], NOW)[1] is LinkState.GOOD
    assert read_link(LINK.path(OLD).removeprefix("/sign/"), [NEW], NOW)[1] is LinkState.FORGED
    assert read_link(SIGNED, [], NOW)[1] is LinkState.FORGED


def test_a_link_ends():
    assert read_link(SIGNED, [NEW], LINK.ends_at - timedelta(seconds=1))[1] is LinkState.GOOD
    assert read_link(SIGNED, [NEW], LINK.ends_at) == (LINK, LinkState.EXPIRED)


@pytest.mark.parametrize("part", range(5))
def test_a_link_with_any_part_changed_is_forged(part):
    parts = SIGNED.split("/")
    parts[part] = parts[part][:-1] + ("1" if parts[part][-1] != "1" else "2")
    assert read_link("/".join(parts), [NEW], NOW) == (None, LinkState.FORGED)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a/b",
        SIGNED + "/",
        SIGNED[:-1],
        SIGNED + "é",
        "al1/2/cadre.1/99999999999/x",
        "al1/-2/c/1/x",
        "al1/²/c/1/x",
    ],
)
def test_what_is_no_link_is_forged(path):
    assert read_link(path, [NEW], NOW) == (None, LinkState.FORGED)


def test_a_short_secret_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="openssl rand -hex 32"):
        make_settings(link_secrets=f"{NEW},short")
    assert make_settings(link_secrets=f" {NEW} , {OLD},").link_secrets_list == (NEW, OLD)
