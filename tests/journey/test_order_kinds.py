"""What is not a plain order: replacements, parents, results, appointments, and the messages of HL7 2.5."""

from __future__ import annotations

from gateway.assembly import process as app
from tests.journey.messages import apart, orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send, told
from tests.journey.test_scheduling import outcomes, states, visible
from tests.peers.dcmtk import findscu

LATER, LATEST = "20260123130000", "20260123140000"
SECOND = {"placer": "P2", "filler": "F2", "accession": "ACC2", "study_uid": "1.2.9"}


def with_orc_8(raw: bytes, parent: str) -> bytes:
    """ORC-8 (EIP) with the parent's placer number."""
    lines = raw.split(b"\r")
    [number] = [number for number, line in enumerate(lines) if line.startswith(b"ORC")]
    fields = lines[number].split(b"|")
    fields[8] = parent.encode()
    lines[number] = b"|".join(fields)
    return b"\r".join(lines)


async def by_accession(gateway: app.Running) -> dict[str, str]:
    from gateway.store import worklist

    rows = await gateway.store.read(lambda connection: list(connection.execute(worklist.ITEMS).mappings()))
    return {row["accession"]: row["state"] for row in rows}


# --- replaced, parents and children ---


@sqlite
async def test_a_replacement_ends_what_it_replaces(start: Start) -> None:
    """RP and RO in one message: both or none."""
    replaced = orm(control="RP", control_id="2", at=LATER)
    more = [
        f"ORC|RO|P2|F2||SC||1^^^20301124093000^^R|P1|{LATER}",
        "OBR|2|P2|F2|CTH^CT head^99RIS||||||||||||||ACC2|RP2|SPS2||||CT|||1^^^20301124093000^^R",
    ]
    async with start() as gateway:
        assert await outcomes(gateway, orm(), replaced + "\r".join(more).encode() + b"\r") == ["AA", "AA"]
        assert await by_accession(gateway) == {"ACC1": "CANCELED", "ACC2": "SCHEDULED"}


@sqlite
async def test_a_replacement_alone_ends_the_order_that_it_names(start: Start) -> None:
    async with start() as gateway:
        order = with_orc_8(orm(control="RO", control_id="2", at=LATER, **SECOND), "P1&RIS")
        assert await outcomes(gateway, orm(), order) == ["AA", "AA"]
        assert await by_accession(gateway) == {"ACC1": "CANCELED", "ACC2": "SCHEDULED"}


async def test_a_replacement_that_cannot_be_made_ends_nothing(start: Start) -> None:
    """The new order's Study Instance UID is a third order's."""
    third = orm(control_id="3", placer="P3", filler="F3", accession="ACC3", study_uid="1.2.7", procedure="RP3")
    order = with_orc_8(orm(control="RO", control_id="2", at=LATER, **(SECOND | {"study_uid": "1.2.7"})), "P1&RIS")
    async with start() as gateway:
        [_, _, ack] = await send(gateway, orm(), third, order)
        assert told(ack)[:2] == ("AE", "205")
        assert await by_accession(gateway) == {"ACC1": "SCHEDULED", "ACC3": "SCHEDULED"}


@sqlite
async def test_what_is_done_to_a_parent_is_done_to_its_children(start: Start) -> None:
    child = with_orc_8(orm(control="CH", control_id="2", **SECOND), "P1&RIS")
    async with start() as gateway:
        assert await outcomes(gateway, orm(control="PA"), child) == ["AA", "AA"]
        assert (await by_accession(gateway))["ACC2"] == "SCHEDULED"
        assert await outcomes(gateway, orm(control="CA", control_id="3", at=LATER)) == ["AA"]
        assert (await by_accession(gateway))["ACC2"] == "CANCELED"


# --- results and appointments ---


def result(status: str, **fields: str) -> bytes:
    """ORU^R01 whose OBR-25 is `status`."""
    raw = orm(control="RE", **({"control_id": "R1", "at": LATER} | fields)).replace(b"ORM^O01", b"ORU^R01")
    return raw.replace(b"||||CT|||1^^^", b"||||CT|" + status.encode() + b"||1^^^")


DONE = {"F": "COMPLETED", "P": "COMPLETED", "C": "COMPLETED", "I": "SCHEDULED", "": "SCHEDULED"}


@sqlite
async def test_a_report_tells_that_the_examination_is_done(start: Start) -> None:
    async with start() as gateway:
        for number, status in enumerate(DONE):
            assert await outcomes(gateway, apart(orm(), number), apart(result(status), number)) == ["AA", "AA"], status
        found = await by_accession(gateway)
    assert {status: found[f"ACC1X{number}"] for number, status in enumerate(DONE)} == DONE


@sqlite
async def test_a_report_of_something_else_is_taken_and_kept(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, result("F")) == ["AA"]
        assert await states(gateway) == []


def appointment(trigger: str, start: str, control_id: str, at: str = LATER) -> bytes:
    segments = [
        f"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|{at}||SIU^{trigger}|{control_id}|P|2.3.1",
        f"SCH|P1|F1||||||||||1^^^{start}",
        "PID|1||PAT1^^^HOSP||MUSTER^MAX||19800102|M",
        "PV1|1|O",
        "RGS|1",
        f"AIS|1||CTH^CT head^99RIS|{start}",
        "AIL|1||ROOM7^^^HOSP",
    ]
    return ("\r".join(segments) + "\r").encode()


@sqlite
async def test_an_appointment_moves_what_was_ordered(start: Start) -> None:
    async with start() as gateway:
        for number, trigger in enumerate(("S12", "S13", "S14")):
            moved = apart(appointment(trigger, "20301127110000", "2"), number)
            assert await outcomes(gateway, apart(orm(), number), moved) == ["AA", "AA"], trigger
        shown = sorted(await visible(gateway))
    assert shown == [(f"ACC1X{number}", "SPS1", "20301127110000") for number in range(3)]


@sqlite
async def test_a_cancelled_appointment_is_no_longer_shown_until_it_is_made_again(start: Start) -> None:
    async with start() as gateway:
        for number, trigger in enumerate(("S15", "S26")):
            cancelled = apart(appointment(trigger, "20301124093000", "2"), number)
            assert await outcomes(gateway, apart(orm(), number), cancelled) == ["AA", "AA"], trigger
        assert await visible(gateway) == []
        again = [apart(appointment("S12", "20301128080000", "3", at=LATEST), number) for number in range(2)]
        assert await outcomes(gateway, *again) == ["AA", "AA"]
        assert sorted(await visible(gateway)) == [(f"ACC1X{number}", "SPS1", "20301128080000") for number in range(2)]


# --- HL7 2.5 ---


def of_2_5(kind: str, *after_obr: str) -> bytes:
    segments = [
        f"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|20260123120000||{kind}|M25|P|2.5.1||||||UNICODE UTF-8",
        "PID|1||PAT1^^^HOSP||MUSTER^MAX||19800102|M",
        "PV1|1|O",
        "ORC|NW|P1^RIS|F1^RIS||SC|||||20260123120000",
        "TQ1|1||||||20301124093000||R",
        "OBR|1|P1^RIS|F1^RIS|CTH^CT head^99RIS||||||||||||||||||||CT",
        *after_obr,
    ]
    return ("\r".join(segments) + "\r").encode()


@sqlite
async def test_an_imaging_order_with_two_steps(start: Start) -> None:
    ipc = "IPC|ACC1^RIS|RP1|1.2.3.4.5|{}|{}|C1^One^99RIS||ROOM1|{}"
    raw = of_2_5("OMI^O23^OMI_O23", ipc.format("S1", "CT", "CT1"), ipc.format("S2", "MR", "MR1"))
    async with start() as gateway:
        assert await outcomes(gateway, raw) == ["AA"]
        found = await findscu(gateway.dicom_port, "AccessionNumber", "ScheduledProcedureStepSequence[0].Modality")
        modalities = sorted(item.ScheduledProcedureStepSequence[0].Modality for item in found.items)
        assert modalities == ["CT", "MR"]
        assert {str(item.AccessionNumber) for item in found.items} == {"ACC1"}


@sqlite
async def test_a_general_order_with_what_was_found_before(start: Start) -> None:
    """OMG^O19 may tell of earlier results after the order, with a PID of their own; they are not ordered."""
    earlier = [
        "PID|1||PAT1^^^HOSP||MUSTER^MAX",
        "ORC|RE|OLD1|OLDF",
        "OBR|1|OLD1|OLDF|X^Old^99RIS||||||||||||||||||||MR",
    ]
    async with start() as gateway:
        assert await outcomes(gateway, of_2_5("OMG^O19^OMG_O19", *earlier)) == ["AA"]
        assert [start_ for _, _, start_ in await visible(gateway)] == ["20301124093000"]


@sqlite
async def test_an_order_control_that_answers_nobody_is_ignored(start: Start) -> None:
    async with start() as gateway:
        answer = orm(control="OK", control_id="2", at=LATER)
        assert await outcomes(gateway, orm(), answer) == ["AA", "AA"]
        assert await states(gateway) == ["SCHEDULED"]
