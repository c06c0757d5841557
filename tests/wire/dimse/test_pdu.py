"""A-ASSOCIATE-RQs that peers send anew each time."""

from __future__ import annotations

from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    UserIdentityNegotiation,
)

from gateway.wire.dimse import pdu


def request(calling_ae: str, passcode: str = "") -> bytes:
    """The body of an A-ASSOCIATE-RQ."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling_ae, "GATEWAY"
    context = build_context("1.2.840.10008.1.1")
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, uid.implementation_class_uid = 16384, "1.2.3"
    primitive.user_information = [length, uid]
    if passcode:
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 2
        identity.primary_field, identity.secondary_field = b"user", passcode.encode()
        primitive.user_information = [length, uid, identity]
    made = A_ASSOCIATE_RQ()
    made.from_primitive(primitive)
    return bytes(made.encode()[6:])


def test_what_a_peer_asks_each_time_is_read_once() -> None:
    first = pdu.read_associate_rq(request("CT1"))
    assert pdu.read_associate_rq(request("CT1")) is first
    assert pdu.read_associate_rq(request("CT2")).calling_ae_title == "CT2"


def test_a_passcode_is_not_kept() -> None:
    body = request("CT1", passcode="secret")
    assert pdu.read_associate_rq(body) is not pdu.read_associate_rq(body)


def test_only_the_latest_requests_are_kept() -> None:
    first = pdu.read_associate_rq(request("FIRST"))
    for number in range(200):
        pdu.read_associate_rq(request(f"CT{number}"))
    assert pdu.read_associate_rq(request("FIRST")) is not first
