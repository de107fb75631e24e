"""Texts that have broken programs elsewhere: our own list, by what they try. All may stand in a free-text field of 200.

SOUND is text after all and must come through unchanged; REFUSED holds characters that no text of ours may have.
"""

from collections.abc import Mapping

SOUND: Mapping[str, tuple[str, ...]] = {
    "words of programs": ("null", "NULL", "None", "nil", "undefined", "true", "NaN", "Infinity", "-", "--", "\\N"),
    "looks like a number": ("0", "-0", "1e1000", "0x1F", "1_000", "１２３", "٣", "¼", "1,5", "09:30",
        "2026-02-30", "1;2"),
    "white space": (" ", "  two", "trailing ", "\u00a0", "\u3000全角", "\u1680", "\u2003", "a\u00adb"),
    "punctuation": ("\"'`´", "\\", "\\\\", "\\0", "\\u0000", "/", "?&=#%", "%00", "%s%s%n", "$(id)", "`id`",
        "{}", "[]", "<>"),
    "scripts of the country": ("守望·𠮷野家", "བོད་ཡིག", "ئۇيغۇرچە", "ᠮᠣᠩᠭᠣᠯ", "Bouxcuengh", "ꆈꌠꉙ", "한국어", "𫟼𬙊𫶇",
        "㐀㒼", "\ue000\uf8ff"),
    "scripts elsewhere": ("עברית", "العربية", "ไทยที่นี่", "हिन्दी", "Ελληνικά", "İıßſﬁ", "ǅ", "Ω", "é́",
        "c\u0327\u0301"),
    "symbols": ("😀", "👍🏽", "🇨🇳", "1️⃣", "♥", "𝕳𝖊𝖑𝖑𝖔", "ⓗⓔⓛⓛⓞ", "葛\U000e0100", "﷽", "꧅", "𒐫", "\U0010fffd"),
    "markup": ("<b>x</b>", "</textarea>", "<!--", "]]>", "&lt;", "&#x3C;", "<?xml?>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;"),
    "scripts for browsers": ("javascript:alert(1)", "data:text/html,x", "<svg/onload=alert(1)>",
        "'-alert(1)-'", "</script>"),
    "queries": ("' OR '1'='1", "'; DROP TABLE alert; --", "admin'--", "*)(uid=*))(|(uid=*", "{\"$gt\": \"\"}",
        "; SELECT pg_sleep(9)"),
    "templates": ("{{7*7}}", "{% raw %}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "${jndi:ldap://x.invalid/a}",
        "{0.__class__}", "%(x)s"),
    "shells and files": ("../../etc/passwd", "..\\..\\boot.ini", "/dev/null", "CON", "aux.txt", "| cat",
        "&& id", "$HOME", "~root", "-rf"),
    "spreadsheets": ("=1+1", "+1", "-1+1", "@SUM(1)", "=cmd|'/c calc'!A0", "=HYPERLINK(\"http://x.invalid\")"),
    "addresses": ("http://169.254.169.254/latest/", "http://127.0.0.1:5432/", "file:///etc/passwd",
        "//x.invalid", "mailto:a@b.invalid"),
    "chat": ("@all", "@所有人", "<@everyone>", "[签收](http://x.invalid)", "![x](http://x.invalid/i.png)",
        "*粗体* _x_ ~x~", "> 引用"),
    "looks like a person's number": ("1391234567", "139123456789", "1301234567", "12345678901234", "2026-0302-1234"),
}  # fmt: skip
REFUSED: Mapping[str, tuple[str, ...]] = {
    "C0": ("a\x00b", "a\tb", "\x1b[31mred", "\x07", "a\x7fb", "a\rb"),
    "C1": ("a\x85b", "\x9b31m"),
    "line ends of Unicode": ("a\u2028b", "a\u2029b"),
    "direction": ("\u202eabc", "a\u2066b", "a\u200fb", "\u061c"),
    "not to be seen": ("a\u200bb", "a\u200db", "\ufeffa", "a\u2060b", "\U000e0041\U000e0042"),
    "not characters": ("\ufffe", "\uffff", "\ufdd0", "\U0001ffff", "\ufffd", "\ufff9"),
    "marks without end": ("Z" + "\u0336\u0315\u0321\u0322\u0489" * 6, "ก" + "\u0e47" * 8, "a" + "\u0301" * 12),
}
