"""What can be wrong with alerts, receipts, answers and the machine."""

import json

from tests.chaos.checker import Recovery, Sample
from tests.chaos.maker import CANARY_WORD
from tests.fakes.honest_run import RUN
from tests.fakes.spoilt_run import RED, Case, Proofs, Spoil, swap

# --- alerts and receipts


def no_alert_was_raised(case: Case) -> Proofs:
    red, alert_id = case.red(), case.alert().alert_id
    tables, run = case.tables, case.run
    tables.alerts = [row for row in tables.alerts if row.alert_id != alert_id]
    tables.steps = [row for row in tables.steps if row.alert_id != alert_id]
    tables.messages = [row for row in tables.messages if row.alert_id != alert_id]
    tables.deliveries = [row for row in tables.deliveries if row.alert_id != alert_id]
    run.devices = [line for line in run.devices if line["alert_id"] != alert_id]
    return {"silent": [f"{red.household_id}:{red.version}"]}


def no_alert_was_raised_yet(case: Case) -> Proofs:
    case.tables.in_outbox = frozenset({case.red().household_id})
    return {"unready": no_alert_was_raised(case)["silent"]}


def two_alerts_are_under_way(case: Case) -> Proofs:
    alert = case.alert()
    (step,) = (row for row in case.tables.steps if row.alert_id == alert.alert_id)
    case.tables.alerts.append(alert._replace(alert_id="zzz"))
    case.tables.steps.append(step._replace(alert_id="zzz", step_id=10_000))
    return {"doubled": sorted([alert.household_id, alert.alert_id])}


def an_alert_rests_on_nothing(case: Case) -> Proofs:
    alert = case.alert()
    case.tables.alerts.append(alert._replace(alert_id="zzz", household_id=f"{alert.household_id}x"))
    return {"unsolicited": ["zzz"]}


def a_device_never_got_what_is_stored_as_sent(case: Case) -> Proofs:
    row = case.delivery()
    case.run.devices.remove(case.told(row.message_id))
    return {"silent": [row.message_id]}


def nobody_heard_of_an_alert(case: Case) -> Proofs:
    alert_id = case.alert().alert_id
    case.run.devices = [line for line in case.run.devices if line["alert_id"] != alert_id]
    for row in [row for row in case.tables.deliveries if row.alert_id == alert_id]:
        swap(case.tables.deliveries, row, status="pending")
    return {"silent": [alert_id]}


def a_message_is_still_on_its_way(case: Case) -> Proofs:
    row = case.delivery()
    case.run.devices.remove(case.told(row.message_id))
    swap(case.tables.deliveries, row, status="pending")
    return {"unready": [row.message_id]}


def a_message_is_given_up(case: Case) -> Proofs:
    row = case.delivery()
    case.run.devices.remove(case.told(row.message_id))
    swap(case.tables.deliveries, row, status="failed", detail="http_500")
    return {"silent": [row.message_id]}


def a_person_is_not_told(case: Case) -> Proofs:
    row = case.delivery()
    for other in [one for one in case.tables.deliveries if one[1:4] == row[1:4]]:
        case.tables.deliveries.remove(other)
        case.run.devices.remove(case.told(other.message_id))
    return {"silent": [f"{row.alert_id}/{row.revision}/{row.staff_id}"]}


def a_stranger_is_told(case: Case) -> Proofs:
    row = case.delivery()
    case.tables.deliveries.append(row._replace(staff_id="elsewhere", message_id="msg_1"))
    case.run.devices.append({**case.told(row.message_id), "staff": "elsewhere", "message_id": "msg_1"})
    return {"unsolicited": [f"{row.alert_id}/{row.revision}/elsewhere"]}


def a_message_comes_from_nowhere(case: Case) -> Proofs:
    case.run.devices.append({**case.told(case.delivery().message_id), "message_id": "msg_2"})
    return {"unsolicited": ["msg_2"]}


def a_message_reaches_another_person(case: Case) -> Proofs:
    row = case.delivery()
    case.told(row.message_id)["staff"] = "elsewhere"
    return {"unsolicited": [row.message_id]}


def an_alert_is_heard_late(case: Case) -> Proofs:
    alert_id = case.alert().alert_id
    for line in case.run.devices:
        if line["alert_id"] == alert_id:
            line["at"] += 6
    return {"silent": [f"{alert_id}/1"]}


def an_alert_is_heard_late_in_a_fault(case: Case) -> Proofs:
    left = case.run.ended
    case.changes["windows"] = ((case.run.began, left),)
    case.run.nemesis.append({"at": left, "kind": "durability impossible from"})
    case.run.nemesis.append({"at": left + 20, "kind": "durability impossible to"})
    late, in_time = [row for row in case.tables.alerts if row.grade == RED and row.revision == 1][:2]
    for line in case.run.devices:
        line["at"] += {late.alert_id: 85, in_time.alert_id: 75}.get(line["alert_id"], 0)
    return {"silent": [f"{late.alert_id}/1"]}


def a_message_tells_too_much(case: Case) -> Proofs:
    alert_id = case.alert().alert_id
    row = next(row for row in case.tables.messages if row.alert_id == alert_id)
    swap(case.tables.messages, row, body='{"link": "x", "reasons": []}')
    return {"unsolicited": [f"{alert_id}/1"]}


# --- digests


def a_digest_leaves_an_alert_out(case: Case) -> Proofs:
    digest = case.digest("smtp")
    alert_id, _ = case.told(digest.message_id)["alerts"].pop()
    (row,) = (row for row in case.tables.deliveries if (row.digest_id, row.alert_id) == (digest.digest_id, alert_id))
    return {"silent": [row.message_id]}


def a_digest_names_somebody_elses_alert(case: Case) -> Proofs:
    digest = case.digest("webhook")
    theirs = {row.alert_id for row in case.tables.deliveries if row.staff_id == digest.staff_id}
    other = next(row for row in case.tables.alerts if row.alert_id not in theirs)
    case.told(digest.message_id)["alerts"].append([other.alert_id, other.household_id])
    return {"unsolicited": [digest.message_id]}


def a_digest_calls_a_household_by_anothers_number(case: Case) -> Proofs:
    digest = case.digest("smtp")
    case.told(digest.message_id)["alerts"][0][1] = f"{RUN}-h9999"
    return {"unsolicited": [digest.message_id]}


def a_digest_reaches_another_person(case: Case) -> Proofs:
    digest = case.digest("smtp")
    case.told(digest.message_id)["staff"] = "elsewhere"
    return {"unsolicited": [digest.message_id]}


def a_digest_comes_from_nowhere(case: Case) -> Proofs:
    case.run.devices.append({**case.told(case.digest("webhook").message_id), "message_id": "msg_3"})
    return {"unsolicited": ["msg_3"]}


def a_digest_that_a_restored_backup_forgot_names_somebody_elses_alert(case: Case) -> Proofs:
    case.forget_a_digest()
    a_digest_names_somebody_elses_alert(case)
    line = case.told(case.digest("webhook").message_id)
    case.run.devices[-1]["alerts"] = [line["alerts"].pop()]
    return {"unsolicited": [case.run.devices[-1]["message_id"]]}


def a_digest_tells_too_much(case: Case) -> Proofs:
    digest = case.digest("webhook")
    body = json.loads(digest.body)
    body["alerts"][0]["cause"] = "illness"
    swap(case.tables.digests, digest, body=json.dumps(body))
    return {"unsolicited": [digest.message_id]}


def a_person_reads_a_canary_in_a_digest(case: Case) -> Proofs:
    digest = case.digest("smtp")
    swap(case.tables.digests, digest, text=f"{digest.text} {CANARY_WORD}")
    return {"unsolicited": [digest.message_id]}


# --- answers, owners, the machine


def an_answer_is_500(case: Case) -> Proofs:
    line = next(line for line in case.run.client if line["op"] == "info")
    line["status"] = 500
    return {"dishonest": [line["id"]]}


def a_503_has_no_fault_about_it(case: Case) -> Proofs:
    case.changes["windows"] = ()
    return {"dishonest": [next(line["id"] for line in case.run.client if line["op"] == "info")]}


def an_answer_is_no_problem_document(case: Case) -> Proofs:
    line = next(line for line in case.run.client if line["op"] == "fail")
    line["problem"] = "unreadable-answer"
    return {"dishonest": [line["id"]]}


def an_answer_echoes_its_caller(case: Case) -> Proofs:
    line = next(line for line in case.run.client if line["op"] == "fail")
    line["problem"] = "echoes-the-caller"
    return {"dishonest": [line["id"]]}


def the_impossible_was_acknowledged(case: Case) -> Proofs:
    row = case.row("health.major_illness", 1)
    left, answered = case.answer(row.event_id, "invoke")["at"], case.answer(row.event_id)["at"]
    case.run.nemesis.append({"at": left - 0.001, "kind": "durability impossible from"})
    case.run.nemesis.append({"at": answered + 0.001, "kind": "durability impossible to"})
    return {"false_ack": [row.event_id]}


def nobody_knows_what_became_of_an_event(case: Case) -> Proofs:
    line = next(line for line in case.run.client if line["op"] == "fail")
    case.run.client.remove(line)
    return {"unready": [line["id"]]}


def a_log_holds_a_canary(case: Case) -> Proofs:
    log = case.directory / "ingest.log"
    log.write_text(f"could not read {CANARY_WORD}\n")
    case.changes["logs"] = (log,)
    return {"dishonest": [str(log)]}


def a_person_reads_a_canary(case: Case) -> Proofs:
    alert_id = case.alert().alert_id
    row = next(row for row in case.tables.messages if row.alert_id == alert_id)
    swap(case.tables.messages, row, text=f"{row.text} {CANARY_WORD}")
    return {"unsolicited": [f"{alert_id}/1"]}


def a_service_uses_too_much(case: Case) -> Proofs:
    case.changes["samples"] = (Sample(1.0, "ingest", 1 << 30, 20), Sample(1.0, "scorer-1", 1 << 20, 9_000))
    return {"over_cap": ["ingest", "scorer-1"]}


def it_never_was_well_again(case: Case) -> Proofs:
    case.changes["recovery"] = Recovery(None, 60.0, "3 records unread")
    return {"unready": ["recovery"]}


def it_was_well_again_too_late(case: Case) -> Proofs:
    case.changes["recovery"] = Recovery(61.0, 60.0)
    return {"unready": ["recovery"]}


WRONG_TELLINGS: tuple[Spoil, ...] = (
    no_alert_was_raised,
    no_alert_was_raised_yet,
    two_alerts_are_under_way,
    an_alert_rests_on_nothing,
    a_device_never_got_what_is_stored_as_sent,
    nobody_heard_of_an_alert,
    a_message_is_still_on_its_way,
    a_message_is_given_up,
    a_person_is_not_told,
    a_stranger_is_told,
    a_message_comes_from_nowhere,
    a_message_reaches_another_person,
    an_alert_is_heard_late,
    an_alert_is_heard_late_in_a_fault,
    a_message_tells_too_much,
    a_digest_leaves_an_alert_out,
    a_digest_names_somebody_elses_alert,
    a_digest_calls_a_household_by_anothers_number,
    a_digest_reaches_another_person,
    a_digest_comes_from_nowhere,
    a_digest_that_a_restored_backup_forgot_names_somebody_elses_alert,
    a_digest_tells_too_much,
    a_person_reads_a_canary_in_a_digest,
    an_answer_is_500,
    a_503_has_no_fault_about_it,
    an_answer_is_no_problem_document,
    an_answer_echoes_its_caller,
    the_impossible_was_acknowledged,
    nobody_knows_what_became_of_an_event,
    a_log_holds_a_canary,
    a_person_reads_a_canary,
    a_service_uses_too_much,
    it_never_was_well_again,
    it_was_well_again_too_late,
)
