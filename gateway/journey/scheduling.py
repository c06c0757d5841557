"""Station 2: what an order means for the worklist. Runs inside the transaction of station 1.

Orders are found by any number they share with the message, events are applied in the order of ORC-9, and what the
message does not say stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from gateway.errors import Conflict, DuplicateKey, UnknownCode, UnknownKey
from gateway.records.order import Attributes, Number, OrderedProcedure, OrderedStep
from gateway.records.step import CREATES, FROZEN, TRANSITIONS, Refused, StepEvent, StepState, event_of
from gateway.store import orders, outbox, studies

ENDS: Final = frozenset({StepEvent.CANCEL, StepEvent.DISCONTINUE})
REPORTS: Final = frozenset({StepEvent.COMPLETE, StepEvent.STATUS})
"""Events that tell how an order stands and ask for nothing: of an unknown order they mean nothing."""
IDENTITY: Final = frozenset({"PatientID", "IssuerOfPatientID"})
PROCEDURE_KEYS: Final = frozenset({"StudyInstanceUID", "RequestedProcedureID"})
STEP_ID: Final = "ScheduledProcedureStepID"


def apply(
    connection: Connection,
    procedures: Sequence[OrderedProcedure],
    *,
    now: int,
    ignore_unknown_control: bool = False,
) -> list[tuple[int | None, str]]:
    """Apply what one message orders, all of it or none; returns each procedure's order and what became of it.

    Outcomes: `created`, `updated`, `stale` (older than what is applied), `tombstone` (a cancel that came before its
    order), `ignored`. Raises `UnknownCode` (ORC-1), `UnknownKey` (no such order, procedure or step, or another
    patient's), `DuplicateKey` (the Study Instance UID is another order's), `Conflict` (the examination has begun).
    """
    outcomes: list[tuple[int | None, str]] = []
    for procedure in procedures:
        event = event_of(procedure.control, procedure.status)
        if event is None:
            if not ignore_unknown_control:
                raise UnknownCode(
                    f"order control {procedure.control!r} is not one that the worklist knows",
                    place=f"{procedure.place}-1",
                )
            outcomes.append((None, "ignored"))
            continue
        outcomes.append(_apply_one(connection, procedure, event, now))
    return outcomes


def _apply_one(connection: Connection, ordered: OrderedProcedure, event: StepEvent, now: int) -> tuple[int | None, str]:
    order = _find(connection, ordered)
    if order is None:
        return _begin(connection, ordered, event, now)
    if order["patient"] is None:
        return _after_tombstone(connection, ordered, event, order, now)
    patient = orders.patient_of(connection, order["patient"], hold=True)
    assert patient is not None
    _same_patient(ordered, patient)
    return order["id"], _update(connection, ordered, event, order, patient, now)


def _find(connection: Connection, ordered: OrderedProcedure) -> RowMapping | None:
    """The order that the message means, by the numbers they share.

    Raises `DuplicateKey` when its Study Instance UID is another order's.
    """
    found = orders.find_orders(
        connection,
        study_uid=str(ordered.procedure.get("StudyInstanceUID") or ""),
        filler=ordered.filler.value if ordered.filler else "",
        placer=ordered.placer.value if ordered.placer else "",
        accession="" if "AccessionNumber" in ordered.derived else str(ordered.order.get("AccessionNumber") or ""),
        authority=ordered.authority,
    )
    for rank, order in found:
        filler = _same_number(ordered, ordered.filler, order, "filler")
        placer = _same_number(ordered, ordered.placer, order, "placer")
        if rank == 0 and filler is False and placer is False:
            raise DuplicateKey("the Study Instance UID belongs to another order", place=f"{ordered.place}-2")
        # The same placer number under two filler numbers, or one accession for two orders: not the same order.
        sure = (True, filler is True, placer is True and filler is not False, not (filler is False or placer is False))
        if sure[rank]:
            return order
    return None


def _same_number(ordered: OrderedProcedure, said: Number | None, order: RowMapping, which: str) -> bool | None:
    """Whether message and order carry the same number of one authority; None when one of them has none.

    A number whose authority is not stated is its sender's.
    """
    if said is None or not order[which]:
        return None
    stored = order[f"{which}_authority"]
    one_authority = said.authority == stored if said.authority and stored else ordered.sender == order["sender"]
    return bool(said.value == order[which] and one_authority)


def _begin(connection: Connection, ordered: OrderedProcedure, event: StepEvent, now: int) -> tuple[int | None, str]:
    if event in REPORTS:
        return None, "ignored"
    if event in ENDS:
        row = _order_row(ordered, now)
        row["attributes"] = {key: ordered.patient.get(key) for key in ("PatientID", "IssuerOfPatientID")}
        return orders.add_order(connection, **row, patient=None, created_at=now), "tombstone"
    if event not in CREATES:
        raise UnknownKey(f"no order with this number is known; {event.value} needs one", place=f"{ordered.place}-2")
    patient = _patient(connection, ordered, now, overwrite=event is StepEvent.NEW)
    order = orders.add_order(connection, **_order_row(ordered, now), patient=patient, created_at=now)
    _add_procedure(connection, ordered, order, now)
    return order, "created"


def _after_tombstone(
    connection: Connection, ordered: OrderedProcedure, event: StepEvent, order: RowMapping, now: int
) -> tuple[int, str]:
    """Only a cancel is known so far. What it cancelled may still arrive, and must then stay cancelled."""
    if order["attributes"].get("PatientID") != ordered.patient["PatientID"]:
        raise UnknownKey("the order with this number belongs to another patient", place="PID-3")
    if event in ENDS:
        orders.change_order(connection, order["id"], event_at=max(ordered.event_at, order["event_at"]))
        return order["id"], "tombstone"
    if event not in CREATES or ordered.event_at <= order["event_at"]:
        return order["id"], "stale"
    patient = _patient(connection, ordered, now, overwrite=True)
    orders.change_order(connection, order["id"], **_order_row(ordered, now), patient=patient)
    _add_procedure(connection, ordered, order["id"], now)
    return order["id"], "created"


def _order_row(ordered: OrderedProcedure, now: int) -> dict[str, Any]:
    return {
        "authority": ordered.authority,
        "sender": ordered.sender,
        "accession": str(ordered.order.get("AccessionNumber") or ""),
        **_numbers(ordered),
        "attributes": merged({}, ordered.order),
        "event_at": ordered.event_at,
        "updated_at": now,
    }


def _numbers(ordered: OrderedProcedure, stored: RowMapping | None = None) -> dict[str, str]:
    """Placer and filler number with their authorities; what the message does not say stays as `stored`."""
    row: dict[str, str] = {}
    for which, number in (("placer", ordered.placer), ("filler", ordered.filler)):
        before = (stored[which], stored[f"{which}_authority"]) if stored else ("", "")
        row[which] = number.value if number else before[0]
        row[f"{which}_authority"] = (number.authority if number else "") or before[1]
    return row


def merged(stored: Attributes, said: Attributes, *, keep: frozenset[str] = frozenset()) -> Attributes:
    """`stored` with what a message said laid over it. None deletes; keywords in `keep` only fill what is missing."""
    result = dict(stored)
    for keyword, value in said.items():
        if keyword in keep and keyword in stored:
            continue
        if value is None:
            result.pop(keyword, None)
        else:
            result[keyword] = value
    return result


def _identity(ordered: OrderedProcedure) -> tuple[str, str]:
    return str(ordered.patient["PatientID"]), str(ordered.patient.get("IssuerOfPatientID") or "")


def _same_patient(ordered: OrderedProcedure, stored: RowMapping) -> None:
    patient_id, issuer = _identity(ordered)
    # An issuer that the message does not state is a guess of ours, and no reason to refuse.
    other_issuer = "IssuerOfPatientID" not in ordered.derived and issuer != stored["issuer"]
    if patient_id != stored["patient_id"] or other_issuer:
        raise UnknownKey("the order with this number belongs to another patient", place="PID-3")


def _patient(connection: Connection, ordered: OrderedProcedure, now: int, *, overwrite: bool) -> int:
    """The row of the patient whom the message names, made if there is none."""
    patient_id, issuer = _identity(ordered)
    stored = orders.find_patient(connection, patient_id, issuer)
    if stored is not None:
        return _correct(connection, ordered, stored, overwrite=overwrite)
    return orders.add_patient(
        connection,
        patient_id=patient_id,
        issuer=issuer,
        attributes=merged({}, ordered.patient),
        now=ordered.event_at,
    )


def _correct(connection: Connection, ordered: OrderedProcedure, stored: RowMapping, *, overwrite: bool) -> int:
    """Let a message say more of a patient. A new order may correct; a change of an order may only add (RAD-13)."""
    before: Attributes = stored["attributes"]
    newer = overwrite and ordered.event_at >= stored["updated_at"]
    after = merged(before, ordered.patient, keep=IDENTITY if newer else frozenset(before))
    # Only who may correct moves the time: an addition must neither let older words in nor keep newer ones out.
    said_at = ordered.event_at if newer else stored["updated_at"]
    if after != before or said_at != stored["updated_at"]:
        orders.change_patient(connection, stored["id"], attributes=after, now=said_at)
    return int(stored["id"])


def _add_procedure(connection: Connection, ordered: OrderedProcedure, order: int, now: int) -> None:
    attributes = merged({}, ordered.procedure)
    study_uid = str(attributes["StudyInstanceUID"])
    procedure = orders.add_procedure(
        connection,
        order=order,
        requested_procedure_id=str(attributes["RequestedProcedureID"]),
        study_uid=study_uid,
        attributes=attributes,
        derived=sorted(ordered.derived & PROCEDURE_KEYS),
        event_at=ordered.event_at,
    )
    for step in ordered.steps:
        _add_step(connection, ordered, procedure, step, now)
    _resettle(connection, ordered, study_uid, now)


def _resettle(connection: Connection, ordered: OrderedProcedure, study_uid: str, now: int) -> None:
    """A study that came before its order is told again, now with the order."""
    waiting = studies.answering(
        connection,
        study_uid=study_uid,
        accession=str(ordered.order.get("AccessionNumber") or ""),
        patient_id=_identity(ordered)[0],
    )
    for uid in waiting:
        studies.touch(connection, uid)
        outbox.settle_soon(connection, uid, now=now)


def _step_row(attributes: Attributes, now: int) -> dict[str, Any]:
    stations = attributes.get("ScheduledStationAETitle") or []
    return {
        "step_id": str(attributes["ScheduledProcedureStepID"]),
        "modality": str(attributes.get("Modality") or ""),
        "station_ae": "\\".join([stations] if isinstance(stations, str) else stations),
        "start_date": str(attributes.get("ScheduledProcedureStepStartDate") or ""),
        "start_time": str(attributes.get("ScheduledProcedureStepStartTime") or ""),
        "attributes": attributes,
        "updated_at": now,
    }


def _add_step(connection: Connection, ordered: OrderedProcedure, procedure: int, step: OrderedStep, now: int) -> None:
    attributes = merged({}, step.attributes)
    orders.add_step(
        connection,
        procedure=procedure,
        state=StepState.SCHEDULED.value,
        derived=sorted(ordered.derived & {STEP_ID}),
        **_step_row(attributes, now),
    )


def _update(
    connection: Connection,
    ordered: OrderedProcedure,
    event: StepEvent,
    order: RowMapping,
    patient: RowMapping,
    now: int,
) -> str:
    """Apply the message to an order that is known; returns what came of it."""
    known = orders.procedures_of(connection, order["id"])
    concerned = _concerned(ordered, event, known)
    if event in CREATES and not concerned:
        _say_of_order(connection, ordered, event, order, patient, now)
        _add_procedure(connection, ordered, order["id"], now)
        return "updated"
    current = [procedure for procedure in concerned if ordered.event_at >= procedure["event_at"]]
    if not current:
        return "stale"
    if event in CREATES:
        _say_of_order(connection, ordered, event, order, patient, now)
    for procedure in current:
        _update_procedure(connection, ordered, event, procedure, now)
    if event in CREATES:
        _resettle(connection, ordered, current[0]["study_uid"], now)
    return "updated"


def _say_of_order(
    connection: Connection,
    ordered: OrderedProcedure,
    event: StepEvent,
    order: RowMapping,
    patient: RowMapping,
    now: int,
) -> None:
    """What the message says of patient and order, unless a newer one has spoken."""
    _correct(connection, ordered, patient, overwrite=event is StepEvent.NEW)
    if ordered.event_at < order["event_at"]:
        return
    attributes = merged(order["attributes"], ordered.order, keep=ordered.derived)
    orders.change_order(
        connection,
        order["id"],
        accession=str(attributes.get("AccessionNumber") or ""),
        **_numbers(ordered, order),
        attributes=attributes,
        event_at=ordered.event_at,
        updated_at=now,
    )


def _concerned(ordered: OrderedProcedure, event: StepEvent, known: list[RowMapping]) -> list[RowMapping]:
    """Which of an order's procedures the message means; for `CREATES` at most one, none if it is a new one.

    Only identifiers that both sides were given are compared: one that we derived says nothing of what a sender means.
    Raises `UnknownKey` for a procedure that was never ordered.
    """
    unsure = []
    for procedure in known:
        comparable = PROCEDURE_KEYS - ordered.derived - set(procedure["derived"])
        if any(procedure["attributes"].get(key) == ordered.procedure.get(key) for key in comparable):
            return [procedure]
        if not comparable:
            unsure.append(procedure)
    if event in CREATES:
        return unsure if len(known) == len(unsure) == 1 else []
    if ordered.derived >= PROCEDURE_KEYS:
        return known
    if not unsure:
        raise UnknownKey("the order has no such requested procedure", place=f"{ordered.place}-1")
    return unsure


def _update_procedure(
    connection: Connection, ordered: OrderedProcedure, event: StepEvent, procedure: RowMapping, now: int
) -> None:
    stored = orders.steps_of(connection, procedure["id"])
    if event not in CREATES:
        orders.change_procedure(connection, procedure["id"], event_at=ordered.event_at)
        for step in _named(ordered, stored):
            _move(connection, ordered, event, step, now)
        return
    attributes = merged(procedure["attributes"], ordered.procedure, keep=ordered.derived | {"StudyInstanceUID"})
    orders.change_procedure(
        connection,
        procedure["id"],
        requested_procedure_id=str(attributes["RequestedProcedureID"]),
        attributes=attributes,
        event_at=ordered.event_at,
    )
    _reconcile(connection, ordered, event, procedure, stored, now)


def _named(ordered: OrderedProcedure, stored: list[RowMapping]) -> list[RowMapping]:
    """The steps that a cancel, hold or release means: those it names, or all when it names none.

    Raises `UnknownKey` when it names one that was never ordered.
    """
    if STEP_ID in ordered.derived or all(STEP_ID in step["derived"] for step in stored):
        return stored
    named = {str(step.attributes.get(STEP_ID)) for step in ordered.steps}
    found = [step for step in stored if step["step_id"] in named]
    if len(found) < len(named):
        raise UnknownKey("the order has no such scheduled procedure step", place=f"{ordered.place}-1")
    return found


def _reconcile(
    connection: Connection,
    ordered: OrderedProcedure,
    event: StepEvent,
    procedure: RowMapping,
    stored: list[RowMapping],
    now: int,
) -> None:
    """Add and change the steps that the message lists. A change lists all: what it leaves out is cancelled."""
    listed = {str(step.attributes[STEP_ID]): step for step in ordered.steps}
    unnamed = STEP_ID in ordered.derived or any(STEP_ID in step["derived"] for step in stored)
    if unnamed and len(listed) == len(stored) == 1:
        listed = {stored[0]["step_id"]: ordered.steps[0]}
    for step in stored:
        said = listed.pop(step["step_id"], None)
        if said is not None:
            _change_step(connection, ordered, event, procedure, step, said, now)
        elif event is StepEvent.CHANGE and StepState(step["state"]) not in FROZEN:
            _move(connection, ordered, StepEvent.CANCEL, step, now)
    for said in listed.values():
        _add_step(connection, ordered, procedure["id"], said, now)


def _change_step(
    connection: Connection,
    ordered: OrderedProcedure,
    event: StepEvent,
    procedure: RowMapping,
    step: RowMapping,
    said: OrderedStep,
    now: int,
) -> None:
    if step["state"] == StepState.CANCELED and ordered.event_at <= procedure["event_at"]:
        # Only something newer than the cancel brings a step back; a repeated order does not.
        return
    if _move(connection, ordered, event, step, now) in FROZEN:
        return
    keep = ordered.derived | {STEP_ID}
    if "ScheduledProcedureStepStartDate" not in ordered.derived:
        keep -= {"ScheduledProcedureStepStartTime"}
    attributes = merged(step["attributes"], said.attributes, keep=keep)
    orders.change_step(connection, step["id"], **_step_row(attributes, now))


def _move(connection: Connection, ordered: OrderedProcedure, event: StepEvent, step: RowMapping, now: int) -> StepState:
    state = StepState(step["state"])
    after = TRANSITIONS[(state, event)]
    if isinstance(after, Refused):
        raise Conflict(f"{event.value} of step {step['step_id']} is refused: {after.why}", place=f"{ordered.place}-1")
    if after is not state:
        orders.change_step(connection, step["id"], state=after.value, updated_at=now)
    return after
