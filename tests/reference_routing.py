"""A slow, obvious model of routing, written from the rules alone; the real one must agree with it.

It asks every question anew rather than remember an answer, and lists the levels by hand.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")
VILLAGE_ROLES = ("cadre", "grid", "village_team")


def place(role, household):
    """All posts from which a role can hear of a household, nearest first."""
    village = household
    township = household[:9] + "000"
    county = household[:6] + "000000"
    prefecture = household[:4] + "00000000"
    province = household[:2] + "0000000000"
    if role in VILLAGE_ROLES:
        return [village]
    if role == "township":
        return [township]
    if role == "county":
        return [county]
    nearest_first = []
    for code in (village, township, county, prefecture, province):
        if code not in nearest_first:
            nearest_first.append(code)
    return nearest_first


def is_above_or_same(upper, lower):
    return upper in place("duty_officer", lower)


def weekday(day, holidays):
    if day in holidays:
        return 1 if holidays[day] else 7
    return day.weekday() + 1


def is_on_shift(line, at, holidays):
    """Whether a shift that began today or yesterday is not over yet; none is longer than 24 hours."""
    local = at.astimezone(CHINA).replace(tzinfo=None)
    length = datetime.combine(local.date(), line.to_time) - datetime.combine(local.date(), line.from_time)
    if length <= timedelta(0):
        length += timedelta(days=1)
    for day in (local.date(), local.date() - timedelta(days=1)):
        begins = datetime.combine(day, line.from_time)
        if begins <= local and local - begins < length and line.from_day <= day <= line.to_day:
            return line.weekdays is None or weekday(day, holidays) in line.weekdays
    return False


def absences(person, at, rota):
    return [one for one in rota.absences if one.staff_id == person.staff_id and one.from_at <= at and at < one.to_at]


def is_there(person, at, rota):
    return person.active and len(person.channels) > 0 and not absences(person, at, rota)


def speakers(people, staff, at, rota):
    """Pairs (who hears, for which absent person or None) for some people who are meant."""
    pairs = []
    for person in people:
        if is_there(person, at, rota):
            pairs.append((person.staff_id, None))
        if person.active:
            for absence in absences(person, at, rota):
                for other in staff:
                    is_named = other.staff_id == absence.stand_in
                    if is_named and is_there(other, at, rota) and is_above_or_same(other.division, person.division):
                        pairs.append((other.staff_id, person.staff_id))
    return pairs


def post(role, code, staff, at, rota):
    """(who hears at a post, who is on its list if the list counts)."""
    people = [person for person in staff if person.role == role and person.division == code]
    listed = set()
    if role not in VILLAGE_ROLES:
        usual, instead_of_usual = set(), set()
        for line in rota.duties:
            if line.role == role and line.division == code and is_on_shift(line, at, rota.holidays):
                (instead_of_usual if line.overrides else usual).add(line.staff_id)
        listed = instead_of_usual if len(instead_of_usual) > 0 else usual
    by_list = speakers([person for person in people if person.staff_id in listed], staff, at, rota)
    if by_list:
        return by_list, listed
    return speakers(people, staff, at, rota), set()


def of_role(role, household, staff, at, rota):
    for code in place(role, household):
        found, _ = post(role, code, staff, at, rota)
        if found:
            return found
    return []


def model(household, roles, staff, at, rota):
    """{staff_id: verdict in words} for everybody in `staff`, and the absent people that each stand-in hears for."""
    calls = [(role, "told_role") for role in roles]
    if "cadre" in roles and not of_role("cadre", household, staff, at, rota):
        chain = (
            ("township", "told_township_for_missing_cadre"),
            ("county", "told_county_for_missing_cadre"),
            ("duty_officer", "told_duty_officer"),
        )
        for role, words in chain:
            calls.append((role, words))
            if of_role(role, household, staff, at, rota):
                break
    if not any(of_role(role, household, staff, at, rota) for role, _ in calls):
        calls.append(("duty_officer", "told_duty_officer"))

    verdicts, instead = {}, {}
    for role, words in calls:
        for staff_id, absent in of_role(role, household, staff, at, rota):
            if absent is None:
                own = "told_duty_officer" if role == "duty_officer" else words
                if verdicts.get(staff_id) in (None, "told_stand_in"):
                    verdicts[staff_id] = own
            else:
                instead.setdefault(staff_id, set()).add(absent)
                verdicts.setdefault(staff_id, "told_stand_in")

    asked = {role for role, _ in calls}
    for person in staff:
        if person.staff_id not in verdicts:
            verdicts[person.staff_id] = not_told(person, household, asked, staff, at, rota)
    return verdicts, instead


def not_told(person, household, asked, staff, at, rota):
    if not person.active:
        return "inactive"
    if person.division not in place(person.role, household):
        return "other_division"
    if person.role not in asked:
        return "not_routed_for_grade"
    for code in place(person.role, household):
        found, listed = post(person.role, code, staff, at, rota)
        if code == person.division:
            if absences(person, at, rota):
                return "absent"
            if listed and person.staff_id not in listed:
                return "off_duty"
            return "no_channel"
        if found:
            break
    return "not_routed_for_grade"


# --- when each of them hears


def quiet_minutes(quiet_from, quiet_to):
    """Every minute of the day, such as 21:00, that lies in the quiet hours: walk from the first to before the last."""
    found, minute = [], quiet_from
    while minute != quiet_to:
        found.append(minute)
        hours, minutes = (int(part) for part in minute.split(":"))
        minute = f"{(hours + (minutes + 1) // 60) % 24:02}:{(minutes + 1) % 60:02}"
    return set(found)


def end_of_quiet(rules, at):
    """Walk minute by minute until nobody is to be left in peace any more; `at` itself if that is now."""
    quiet = quiet_minutes(rules["quiet_from"], rules["quiet_to"])
    if at.astimezone(CHINA).strftime("%H:%M") not in quiet:
        return at
    walk = at.replace(second=0, microsecond=0)
    while walk.astimezone(CHINA).strftime("%H:%M") in quiet:
        walk += timedelta(minutes=1)
    return walk


def is_within(division, area):
    """Whether a division lies in an area: the area's code without its zeros, level by level, begins the division's."""
    for digits in (2, 4, 6, 9, 12):
        if area[digits:] == "0" * (12 - digits):
            return division[:digits] == area[:digits]
    return False


def silenced_until(silences, household_id, division, grade, rules, at):
    """The last instant to which any silence reaches that means this household at this grade; None if none does."""
    ends = []
    for one in silences:
        over = one["until"] if one["ended"] is None else one["ended"]
        meant = one["household_id"] == household_id if one["household_id"] else is_within(division, one["division"])
        if one["begins"] <= at < over and meant and grade in one["grades"]:
            end = one["until"]
            if grade == "red":
                end = min(end, at + timedelta(minutes=rules["longest_red_silence_minutes"]))
            if end > at:
                ends.append(end)
    return max(ends) if ends else None


def room(had, grade, most, at):
    """Whether a person who had these (when, grade), all of other alerts, may have one more at an instant."""
    lately = [when for when, _ in had if when > at - timedelta(hours=24)]
    is_red_for_them = grade == "red"
    return len(lately) < (most if is_red_for_them else most - 1)


def first_room(had, grade, most, at):
    """When that will be: try each instant at which something of what they had becomes a day old."""
    for instant in sorted([at, *(when + timedelta(hours=24) for when, _ in had)]):
        if instant >= at and room(had, grade, most, instant):
            return instant
    raise AssertionError("a day after all that they had there must be room")


def whole_model(household_id, household, grade, roles, staff, rota, rules, silences, had, at):
    """{staff_id: (verdict, why it waits, until when)} for an alert that is opened at an instant."""
    verdicts, _ = model(household, roles, staff, at, rota)
    is_silenced = silenced_until(silences, household_id, household, grade, rules, at) is not None
    found = {}
    for staff_id, verdict in verdicts.items():
        if not verdict.startswith("told_"):
            found[staff_id] = (verdict, None, None)
        elif is_silenced:
            found[staff_id] = ("silenced", None, None)
        else:
            found[staff_id] = (verdict, *wait_of(had.get(staff_id, []), grade, rules, at))
    return found


def wait_of(had, grade, rules, at):
    if not room(had, grade, rules["messages_a_day_per_person_and_household"], at):
        return "daily_cap", first_room(had, grade, rules["messages_a_day_per_person_and_household"], at)
    if grade not in rules["quiet_exempt"] and end_of_quiet(rules, at) != at:
        return "quiet_hours", end_of_quiet(rules, at)
    return None, None
