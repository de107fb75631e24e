"""The rule book read once more, plainly: a second opinion that shares no code with the core.

It judges every single day from the first to as_of, from the whole list of events each time, in exact fractions.
Slow and simple on purpose. Takes and gives the JSON shapes of the case files.
"""

from datetime import date, timedelta
from fractions import Fraction as F

LINE = F(8700)
CAUSES = [
    "illness",
    "disaster",
    "disability",
    "labour_shortage",
    "accident",
    "industry_failure",
    "job_instability",
    "education",
    "housing",
    "water",
    "other",
]
RANK = {s: i for i, s in enumerate(["department", "survey", "third_party", "cadre", "grid", "self"])}
GRADES = ["green", "blue", "yellow", "orange", "red"]
HOUSE = ["ok", "A", "B", "C", "D", "destroyed"]
NOT_SELF = ("event.", "survey.", "status.", "measure.")

# type: cause, then lines of (letter, field, default, months field, default months, permanent)
M = {
    "health.major_illness": ("illness", [("X", "self_pay_yuan", 20000)]),
    "health.hospitalisation": ("illness", [("X", "self_pay_yuan", 5000)]),
    "health.chronic_outpatient": ("illness", [("X", "monthly_self_pay_yuan", 500, 12)]),
    "health.disability": ("disability", [("P", "annual_loss_yuan", 12000), ("X", "self_pay_yuan", 0)]),
    "health.accident": ("accident", [("X", "self_pay_yuan", 10000), ("L", "monthly_loss_yuan", 0, 3)]),
    "health.death_of_earner": ("labour_shortage", [("P", "annual_loss_yuan", 24000)]),
    "health.epidemic_impact": ("job_instability", [("L", "monthly_loss_yuan", 2000, 3)]),
    "disaster.natural": (
        "disaster",
        [("L", "crop_loss_yuan", 0), ("L", "livestock_loss_yuan", 0), ("X", "repair_cost_yuan", 0)],
    ),
    "disaster.house_fire": ("accident", [("X", "repair_cost_yuan", 10000)]),
    "farm.crop_loss": ("industry_failure", [("L", "amount_yuan", 3000)]),
    "farm.livestock_loss": ("industry_failure", [("L", "amount_yuan", 5000)]),
    "farm.price_slump": ("industry_failure", [("L", "amount_yuan", 3000)]),
    "work.job_loss": ("job_instability", [("L", "monthly_loss_yuan", 3000, 6)]),
    "work.hours_cut": ("job_instability", [("L", "monthly_loss_yuan", 1000, 3)]),
    "work.wage_arrears": ("job_instability", [("L", "amount_yuan", 6000)]),
    "biz.failure": ("industry_failure", [("L", "amount_yuan", 10000)]),
    "edu.cost": ("education", [("X", "self_pay_yuan", 8000)]),
    "fin.fraud_loss": ("other", [("X", "amount_yuan", 10000)]),
    "family.breakup": ("labour_shortage", [("P", "annual_loss_yuan", 12000)]),
    "relief.medical_reimbursement": ("illness", [("O", "amount_yuan", None)]),
    "relief.medical_assistance": ("illness", [("O", "amount_yuan", None)]),
    "relief.insurance_payout": ("other", [("O", "amount_yuan", None)]),
    "relief.temporary_assistance": ("other", [("O", "amount_yuan", None)]),
    "relief.disaster_relief": ("disaster", [("O", "amount_yuan", None)]),
    "relief.education_grant": ("education", [("O", "amount_yuan", None)]),
    "income.dibao_granted": (None, [("A", "monthly_yuan", None, 12)]),
    "income.public_post": (None, [("A", "monthly_yuan", None, 12)]),
    "income.industry_subsidy": (None, [("A", "amount_yuan", None)]),
    "income.job_found": (None, [("G", "monthly_yuan", None, 6)]),
    "income.wage_recovered": (None, [("G", "amount_yuan", None)]),
    "income.collective_dividend": (None, [("G", "amount_yuan", None)]),
}
STRUCTURAL = ("health.disability", "health.death_of_earner", "family.breakup", "family.member_change")
OWN_CLAIM = ("relief.insurance_payout", "relief.temporary_assistance")
BREAKS = {
    "health.insurance_lapse": "medical",
    "edu.dropout": "education",
    "water.failure": "water",
    "food.shortage": "food",
}
MENDS = {
    "health.insurance_restored": "medical",
    "edu.return": "education",
    "water.restored": "water",
    "food.restored": "food",
    "housing.repaired": "housing",
}
USUAL = {"food": "other", "education": "education", "medical": "illness", "housing": "housing", "water": "water"}
ILL = ("health.major_illness", "health.hospitalisation", "health.accident", "health.chronic_outpatient")


def yuan(x):
    return x if isinstance(x, int) else F(x)


def day(text):
    return date.fromisoformat(text)


def known_history(raw, as_of):
    """3.2.1: refused events out, first delivery wins, refutations and corrections taken in from the start."""
    events = []
    for e in raw:
        e = {**e, "occurred": day(e["occurred_on"]), "recorded": day(e.get("recorded_on") or e["occurred_on"])}
        e["source"] = e.get("source", "department")
        events.append(e)
    events = sorted([e for e in events if e["recorded"] <= as_of], key=lambda e: e["recorded"])
    events = [e for e in events if not (e["source"] == "self" and e["type"].startswith(NOT_SELF))]
    first = {}
    for e in events:
        first.setdefault(e["event_id"], e)
    events = list(first.values())
    refuted = {e["payload"]["ref"] for e in events if e["type"] == "event.refuted"}
    out = []
    for e in events:
        fixed = e["type"].startswith(("event.", "registry."))
        if e["event_id"] in refuted and not fixed:
            continue
        payload = dict(e["payload"])
        for c in events:
            if c["type"] == "event.corrected" and c["payload"]["ref"] == e["event_id"] and not fixed:
                payload.update(c["payload"]["payload"])
        out.append({**e, "payload": payload, "episode": e.get("episode") or payload.get("episode") or None})
    return out


def evaluate(household, events, t, line=LINE):
    """Everything of one day, from the events that are recorded; `events` is in processing order."""
    visible = [e for e in events if e["occurred"] <= t]
    verified = {e["payload"]["ref"] for e in visible if e["type"] == "event.verified"}

    def unverified(e):
        p = e["payload"]
        if e["source"] != "self" or e["event_id"] in verified or e["type"] == "food.shortage":
            return False
        house = (
            p.get("grade")
            if e["type"] == "housing.danger"
            else (p.get("housing_grade") if e["type"].startswith("disaster.") else None)
        )
        return house not in ("D", "destroyed")

    everything = one_view(household, visible, t, line)
    certain = [e for e in visible if not unverified(e)]
    without = everything if len(certain) == len(visible) else one_view(household, certain, t, line)
    raw = max(without["grade"], min(everything["grade"], 3))
    return {**everything, "raw": raw, "capped": raw != everything["grade"]}


def one_view(household, visible, t, line):
    b, monitored, returned = household["baseline"], household["monitored"], False
    since = None
    if monitored:
        since = day(household.get("monitored_on") or household.get("enrolled_on") or b["as_of"])
    for e in visible:
        if e["type"] == "survey.result":
            b = e["payload"]["baseline"]
        if e["type"] == "status.monitored" and not monitored:
            monitored, since = True, e["occurred"]
        if e["type"] == "status.risk_eliminated":
            monitored = False
        if e["type"] in ("status.return_confirmed", "status.lifted_again"):
            returned = e["type"] == "status.return_confirmed"
    as_of = day(b["as_of"])
    live = [e for e in visible if e["occurred"] > as_of]
    live = [e for e in live if not beaten(e, live)]
    X, L, claims = (dict.fromkeys(CAUSES, 0) for _ in range(3))
    G = A = 0
    shock, imputed = False, set()
    if (t - as_of).days < 365:
        for cause, amount in b.get("self_pay", {}).items():
            X[cause] += yuan(amount)
    for e in live:
        if e["type"] not in M:
            continue
        cause, lines = M[e["type"]]
        if e["type"] in OWN_CLAIM:
            cause = e["payload"].get("cause", "other")
        inside = (t - e["occurred"]).days < 365
        for letter, field, default, *months in lines:
            amount = yuan(e["payload"].get(field, default))
            if months:
                amount *= e["payload"].get("months", months[0])
            if not inside and letter != "P":
                continue
            if field not in e["payload"] and amount > 0:
                imputed.add(e["event_id"])
            if letter in "LP":
                L[cause] += amount
            elif letter == "X":
                X[cause] += amount
            elif letter == "O":
                claims[cause] += amount
            elif letter == "G":
                G += amount
            else:
                A += amount
            if letter in "LPX" and amount > 0 and inside:
                shock = True
    n, full, weak = b["members"], b["labour_full"], b.get("labour_weak", 0)
    for e in live:
        p = e["payload"]
        if e["type"] in ("family.breakup", "family.member_change"):
            n += p.get("n_delta", 0)
            full += p.get("labour_full_delta", 0)
            weak += p.get("labour_weak_delta", 0)
        if e["type"] == "health.death_of_earner":
            n -= 1
            full -= p.get("labour", "full") == "full"
            weak -= p.get("labour", "full") == "weak"
        if e["type"] == "health.disability":
            full += (p.get("labour_to", "weak") == "full") - (p.get("labour_from", "full") == "full")
            weak += (p.get("labour_to", "weak") == "weak") - (p.get("labour_from", "full") == "weak")
    n, full, weak = max(n, 1), max(full, 0), max(weak, 0)
    ell = (F(full) + F(weak, 2)) / n
    base_income = sum(yuan(b[k]) for k in ("wage", "operating_net", "property", "transfer"))
    sl, so, sx = sum(L.values()), sum(claims.values()), sum(X.values())
    NI = base_income - sl + G + A
    per_head = F(NI + so - sx) / n
    r = per_head / line
    R = sum(max(0, X[c] - claims[c]) for c in CAUSES)
    q = F(R) / NI if NI > 0 else (None if R > 0 else F(0))
    r_wo = F(NI - yuan(b.get("assistance", 0)) - A + so - sx) / n / line
    broken = guarantees(b, as_of, live)
    T = 10000 if household["type"] == "lifted" or monitored else 26000

    def at(value, *steps):
        for bound, points in steps[:-1]:
            if value is None or value >= bound:
                return points
        return steps[-1]

    s1 = at(r, (F("1.5"), 0), (F("1.2"), 8), (1, 18), (F("0.8"), 28), (F(2, 3), 34), 40)
    s2 = at(q, (F("0.6"), 20), (F("0.4"), 14), (F("0.25"), 8), (F("0.1"), 4), 0)
    bad = [g for g in USUAL if is_broken(g, broken[g][0])]
    s3 = min(20, 10 * len(bad))
    elements = [b.get("elements", {}).get(k) for k in ("economic", "cultural", "psychological", "social")]
    s4 = at(ell, (F(1, 2), 0), (F(1, 4), 3), (F(1, 10**9), 6), 8) + sum(2 if v is None else 3 - v for v in elements)
    score = s1 + s2 + s3 + s4

    def latest(prefix):
        found = [i for i, e in enumerate(visible) if e["type"] == prefix]
        return (found[-1], visible[found[-1]]) if found else (-1, None)

    def young(e, days):
        return e is not None and (t - e["occurred"]).days < days

    vi, visit = latest("survey.visit")
    ri, report = latest("self.report_hardship")
    result = visit["payload"].get("result", "no_change") if visit else None
    debt = sum(
        yuan(e["payload"]["due_12m_yuan"]) for e in live if e["type"] == "fin.debt" and (t - e["occurred"]).days < 365
    )
    ill = any(e["type"] in ILL and (t - e["occurred"]).days < 365 for e in live)
    drop = sl - G - A
    house = broken["housing"][0]
    overdue = {g: g in bad and (t - broken[g][1]).days >= 15 for g in ("education", "water")}
    table = [
        (4, "RETURN_CONFIRMED", returned),
        (4, "BASIC_LIFE", "food" in bad),
        (4, "HOUSING_D", house in HOUSE[4:]),
        (4, "EDUCATION_OVERDUE", overdue["education"]),
        (4, "WATER_OVERDUE", overdue["water"]),
        (4, "BELOW_POVERTY_STD", r < F(2, 3)),
        (4, "CATASTROPHIC_EXPENSE", R >= T and r < 1),
        (4, "NO_LABOUR_BELOW_LINE", ell == 0 and r < 1),
        (4, "FIELD_EMERGENCY", result == "emergency" and young(visit, 30)),
        (3, "SHOCK_BELOW_LINE", shock and r < 1),
        (3, "HOUSING_C", house == "C"),
        (3, "EDUCATION_BREACH", "education" in bad),
        (3, "WATER_BREACH", "water" in bad),
        (3, "MEDICAL_GAP_WITH_ILLNESS", "medical" in bad and ill),
        (2, "BELOW_LINE", r < 1),
        (2, "LARGE_EXPENSE", R >= T),
        (2, "MEDICAL_GAP", "medical" in bad),
        (2, "SELF_REPORT", young(report, 30) and vi < ri),
        (2, "VISIT_CONCERN", result == "concern" and young(visit, 30)),
        (2, "INCOME_DROP", drop > 0 and (base_income <= 0 or drop >= F(3, 10) * base_income)),
        (1, "HOUSING_B", house == "B"),
        (1, "STALE_BASELINE", (t - as_of).days > 395),
        (1, "ASSISTANCE_DEPENDENT", r_wo < 1 <= r),
        (1, "DEBT_STRESS", debt > 0 and (NI <= 0 or 2 * debt >= NI)),
        (1, "SOFT_CONCERN", any(e["type"] == "social.psych_concern" and young(e, 90) for e in visible)),
        (1, "MONITORED", monitored),
        (1, "NO_LABOUR", ell == 0),
    ]
    grade = 4 if score >= 70 else 3 if score >= 50 else 2 if score >= 35 else 1 if score >= 20 else 0
    floors = [code for _, code, holds in table if holds]
    grade = max([grade, *[g for g, _, holds in table if holds]])
    advised = [
        GRADES.index(e["payload"]["floor"])
        for e in visible
        if e["type"] == "survey.third_party_assessment" and "floor" in e["payload"] and young(e, 180)
    ]
    if advised:
        floors.append("THIRD_PARTY")
        grade = max(grade, *advised)
    causes = sorted(
        [c for c in CAUSES if L[c] + X[c] - claims[c] > 0], key=lambda c: (-(L[c] + X[c] - claims[c]), CAUSES.index(c))
    )
    causes += [broken[g][2] for g in USUAL if g in bad]
    causes += ["labour_shortage"] if ell < F(1, 4) else []
    names = ("economic", "cultural", "psychological", "social")
    return {
        "grade": grade,
        "score": score,
        "parts": (s1, s2, s3, s4),
        "A": per_head,
        "r": r,
        "R": R,
        "q": q,
        "ell": ell,
        "floors": floors,
        "causes": list(dict.fromkeys(causes))[:5],
        "imputed": sorted(imputed),
        "gaps": [k for k, v in zip(names, elements, strict=True) if v is None],
        "base_per_head": F(base_income) / b["members"],
        "monitored": monitored,
        "since": since,
        "returned": returned,
        "bad": bad,
        "dependent": r_wo < 1 <= r,
        "measure": any(e["type"] == "measure.delivered" for e in visible),
    }


def is_broken(guarantee, state):
    return state in ("C", "D", "destroyed") if guarantee == "housing" else state != "ok"


def beaten(e, live):
    """3.2.2, episodes: whether a better or later report of the same thing takes this one's place."""

    def joins(x):
        return (
            x["episode"]
            and x["type"] in M
            and x["type"] not in STRUCTURAL
            and any(line[0] in "LX" for line in M[x["type"]][1])
        )

    if not joins(e):
        return False
    rivals = [
        x
        for x in live
        if joins(x) and x["episode"] == e["episode"] and x["type"].split(".")[0] == e["type"].split(".")[0]
    ]
    best = min(RANK[x["source"]] for x in rivals)
    return [x for x in rivals if RANK[x["source"]] == best][-1] is not e


def guarantees(b, as_of, live):
    """3.2.6: state, since and cause of each guarantee."""
    state = {}
    for g in USUAL:
        s = b.get("guarantees", {}).get(g, "ok")
        state[g] = (s, as_of, USUAL[g])

    def report(g, s, e, cause):
        if is_broken(g, state[g][0]) and is_broken(g, s):
            state[g] = (s, state[g][1], state[g][2])
        else:
            state[g] = (s, e["occurred"], cause)

    for e in live:
        p, kind = e["payload"], e["type"]
        if kind in BREAKS:
            usual = {
                "health.insurance_lapse": "illness",
                "edu.dropout": "education",
                "water.failure": "water",
                "food.shortage": "other",
            }[kind]
            report(BREAKS[kind], "breach", e, p.get("cause", usual))
        if kind in MENDS:
            state[MENDS[kind]] = ("ok", None, None)
        if kind == "housing.danger":
            report("housing", p.get("grade", "C"), e, p.get("cause", "housing"))
        if kind in ("disaster.natural", "disaster.house_fire"):
            cause = "disaster" if kind == "disaster.natural" else "accident"
            s = p.get("housing_grade", "none")
            if s != "none" and HOUSE.index(s) > HOUSE.index(state["housing"][0]):
                report("housing", s, e, cause)
            if p.get("water_failure"):
                report("water", "breach", e, cause)
    return state


def fixed(value, places):
    if value is None:
        return None
    scaled = abs(value) * 10**places
    whole = scaled.numerator * 2 // scaled.denominator
    whole = whole // 2 + whole % 2
    text = str(whole).rjust(places + 1, "0")
    return ("-" if value < 0 and whole else "") + text[:-places] + "." + text[-places:]


def grade_case(case, every_day=None):
    """The expected result and elimination blockers of a case; `every_day` collects the result of each day's end."""
    household, as_of = case["household"], day(case["as_of"])
    start = day(household.get("enrolled_on") or household["baseline"]["as_of"])
    events = known_history(case["events"], as_of)
    grade = since = quiet = None
    ratios = []
    t = start
    while t <= as_of:
        todays = [e for e in events if e["recorded"] == t]
        seen = [e for e in events if e["recorded"] < t]
        for step in range(len(todays) + 1):
            now = evaluate(household, seen + todays[:step], t)
            raw = now["raw"]
            if grade is None or raw > grade:
                grade, since, quiet = raw, t, None
            elif raw == grade:
                quiet = None
            else:
                quiet = quiet or t
                if (t - quiet).days >= 30 and now["score"] < [0, 20, 35, 50, 70][grade] - 3:
                    grade, since = grade - 1, t
                    quiet = None if raw == grade else t
        ratios.append(now["r"])
        if every_day is not None:
            every_day[t] = output(household, now, grade, since, quiet)
        t += timedelta(days=1)
    return output(household, now, grade, since, quiet), blockers(now, grade, as_of, ratios)


def output(household, now, grade, since, quiet):
    category = None
    if grade >= 3 or now["r"] < 1:
        severe = now["r"] >= 1 or now["base_per_head"] >= LINE
        category = "sudden_severe" if severe else "lifted_unstable" if household["type"] == "lifted" else "marginal"
    return {
        "grade": GRADES[grade],
        "since": since.isoformat(),
        "quiet_from": quiet.isoformat() if quiet else None,
        "raw_grade": GRADES[now["raw"]],
        "score": now["score"],
        "parts": dict(zip(("income", "rigid", "guarantee", "resilience"), now["parts"], strict=True)),
        "adjusted_per_capita": fixed(now["A"], 2),
        "ratio": fixed(now["r"], 4),
        "net_rigid": fixed(now["R"], 2),
        "rigid_share": fixed(now["q"], 4),
        "labour_ratio": fixed(now["ell"], 4),
        "floors": now["floors"],
        "causes": now["causes"],
        "imputed": now["imputed"],
        "data_gaps": now["gaps"],
        "capped_unverified": now["capped"],
        "suggested_category": category,
    }


def blockers(now, grade, as_of, ratios):
    found = set()
    if not now["monitored"]:
        found.add("NOT_MONITORED")
    elif (as_of - now["since"]).days < 183:
        found.add("MONITORED_TOO_SHORT")
    if not now["measure"]:
        found.add("NO_MEASURE_DELIVERED")
    if len(ratios) < 183 or min(ratios[-183:]) < 1:
        found.add("INCOME_NOT_STABLE")
    if now["bad"]:
        found.add("GUARANTEE_BROKEN")
    if now["q"] is None or now["q"] >= F("0.4"):
        found.add("RIGID_EXPENSE_UNRESOLVED")
    if now["ell"] == 0:
        found.add("NO_LABOUR_HOUSEHOLD")
    if now["dependent"]:
        found.add("ASSISTANCE_DEPENDENT")
    if now["returned"]:
        found.add("RETURN_CONFIRMED")
    if grade > 1:
        found.add("GRADE_ABOVE_BLUE")
    return sorted(found)
