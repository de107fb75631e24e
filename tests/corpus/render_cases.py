"""B85-B92: texts that are sound and must stay mere text wherever they are shown."""

from collections.abc import Mapping

from tests.corpus.case import STORED, Case, enrolled, event

# Each short enough for an alias. What has neither blanks nor other scripts may also stand in an id or a source.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "B85 script tag": ("<script>alert(85)</script>", "</title><script src=//x.no></script>"),
    "B86 event handler": ("<img src=x onerror=alert(86)>", "\" onmouseover=\"alert(86)", "<svg/onload=alert(86)>"),
    "B87 template": ("{{7*7}}${7*7}#{7*7}", "{%raw%}{{config}}", "{0.__class__}%(x)s"),
    "B88 SQL quote": ("'; DROP TABLE alert; --", "\\'||pg_sleep(9)--"),
    "B89 LDAP and shell": ("*)(uid=*))(|(uid=*", "$(reboot)`id`;|&&id"),
    "B90 address in a free field": ("http://169.254.169.254/latest/", "file:///etc/passwd"),
    "B91 Markdown link": ("[签收](http://x.invalid/)", "![](http://x.invalid/i.png)"),
    "B92 mention of all": ("@all @所有人", "<@everyone><!channel>"),
}  # fmt: skip


def household_of(code: str, number: int) -> str:
    """Name the household that bears a text."""
    return f"H-{code}-{number}"


def _shown(text: str, household_id: str) -> tuple[bytes, bytes]:
    """An enrolment and the illness that turns it red, with the text in every place that takes it."""
    word = text if text.isascii() and " " not in text else "word"
    ill = {"person": text, "disease_group": text, "self_pay_yuan": 60000}
    # The id of each event is set when it is sent.
    return (
        enrolled(text, household_id, episode=text, source=f"urn:app:{word}"),
        event(subject=household_id, episode=text, data=ill, source=f"urn:app:{word}", dataschema=f"urn:{word}"),
    )


CASES = tuple(
    Case(name.partition(" ")[0], f"{name.partition(' ')[2]} {number}, {what}", body, STORED)
    for name, texts in TEXTS.items()
    for number, text in enumerate(texts)
    for what, body in zip(("alias", "illness"), _shown(text, household_of(name[:3], number)), strict=True)
)
