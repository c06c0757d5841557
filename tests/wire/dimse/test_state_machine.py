"""The protocol machine over sockets: each PDU sent to an acceptor in each state it can be in (PS3.8 Table 9-10).

Sta3 and Sta12 are over before another PDU can be read: this acceptor answers an A-ASSOCIATE-RQ at once, and no work is
left when a release collides, so that its own A-RELEASE-RP follows the peer's at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.wire.dimse import DimseServer, EncodedMatch, FindRequest
from gateway.wire.dimse.association import Association
from gateway.wire.dimse.upper_layer import State
from tests.wire.dimse import raw_peer
from tests.wire.dimse.peers import HOST, serving, until
from tests.wire.dimse.raw_peer import INVALID, RELEASE_RP, RELEASE_RQ, UNEXPECTED, UNRECOGNIZED, USER_ABORT, RawPeer

PDUS = {
    "A-ASSOCIATE-RQ": raw_peer.associate_rq(),
    "A-ASSOCIATE-AC": b"\x02" + raw_peer.associate_rq()[1:],
    "A-ASSOCIATE-RJ": raw_peer.pdu(0x03, bytes(4)),
    "P-DATA-TF": raw_peer.echo_rq(9),
    "A-RELEASE-RQ": RELEASE_RQ,
    "A-RELEASE-RP": RELEASE_RP,
    "unrecognized": raw_peer.pdu(0x99, bytes(4)),
    "invalid": raw_peer.pdu(0x04, b""),
}
ECHOED = "an answer to the C-ECHO"
NOTHING = b""
PROVIDER = dict.fromkeys(PDUS, UNEXPECTED) | {"unrecognized": UNRECOGNIZED, "invalid": INVALID}

EXPECTED: dict[State, dict[str, bytes | str]] = {
    # AA-1: the source is the service-user, the reason of no significance.
    State.STA2: {**dict.fromkeys(PDUS, USER_ABORT), "A-ASSOCIATE-RQ": "accepted"},
    State.STA6: {**PROVIDER, "P-DATA-TF": ECHOED, "A-RELEASE-RQ": RELEASE_RP},
    # AR-6 takes what is in flight when the acceptor has asked for a release, and cannot answer it.
    State.STA7: {**PROVIDER, "P-DATA-TF": NOTHING, "A-RELEASE-RQ": NOTHING, "A-RELEASE-RP": NOTHING},
    # A P-DATA-TF is out of place there before anybody looks into it.
    State.STA8: {**PROVIDER, "invalid": UNEXPECTED},
    State.STA10: {**PROVIDER, "invalid": UNEXPECTED, "A-RELEASE-RP": RELEASE_RP},
    State.STA13: {
        **dict.fromkeys(PDUS, NOTHING),
        "A-ASSOCIATE-RQ": UNEXPECTED,
        "unrecognized": UNRECOGNIZED,
        "invalid": NOTHING,  # AA-6: what a P-DATA-TF holds is not looked at any more
    },
}


@asynccontextmanager
async def in_state(state: State, *, farewell: float = 10) -> AsyncIterator[tuple[DimseServer, RawPeer]]:
    """At the end the connection is gone, the work with it, and the next association works."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        begun.set()
        try:
            await asyncio.Event().wait()
            yield EncodedMatch(b"")
        finally:
            ended.set()

    async with serving(find=never) as server, raw_peer.connected(server.port) as peer:
        server.quiet_seconds, server.farewell_seconds = 0.05, farewell
        stopping = None
        if state is not State.STA2:
            peer.send(raw_peer.associate_rq())
            assert (await peer.read())[0] == 0x02
        if state in (State.STA7, State.STA10):
            stopping = asyncio.create_task(server.stop(20))
            assert await peer.read() == RELEASE_RQ
        if state is State.STA8:
            peer.send(raw_peer.find_rq())
            await begun.wait()
        if state in (State.STA8, State.STA10):
            peer.send(RELEASE_RQ)
        if state is State.STA13:
            peer.send(RELEASE_RQ)
            assert await peer.read() == RELEASE_RP
        await until(lambda: [one.state for one in server._connections] == [state])
        yield server, peer
        peer.writer.close()
        if stopping is not None:
            await asyncio.wait_for(stopping, 60)
            await server.start(HOST, 0)
        await until(lambda: not server._connections)
        assert server.associations == 0
        await until(lambda: begun.is_set() is ended.is_set() is (state is State.STA8))
        async with raw_peer.associated(server.port) as another:
            another.send(raw_peer.echo_rq(2))
            assert await another.status() == (2, 0x0000)
        await until(lambda: not server._connections)


@pytest.mark.parametrize(("state", "sent"), [(state, name) for state in EXPECTED for name in PDUS])
async def test_each_pdu_in_each_state(state: State, sent: str) -> None:
    expected = EXPECTED[state][sent]
    async with in_state(state) as (_, peer):
        peer.send(PDUS[sent])
        if expected == "accepted":
            assert (await peer.read())[0] == 0x02
        elif expected == ECHOED:
            assert await peer.status() == (9, 0x0000)
        elif expected != NOTHING:
            assert await peer.read() == expected
        if (state, sent) != (State.STA7, "A-RELEASE-RP"):  # AR-3 closes of itself
            peer.writer.write_eof()
        assert await peer.rest() == []


@pytest.mark.parametrize("state", [State.STA2, State.STA6, State.STA7, State.STA8, State.STA10])
async def test_whoever_has_been_sent_an_abort_and_stays_is_cut_off(state: State) -> None:
    async with in_state(state, farewell=0.1) as (server, peer):
        (association,) = server._connections
        assert (association._artim is None) is (state is not State.STA2)  # Evt18 is a blank elsewhere
        peer.send(PDUS["unrecognized"])
        assert await peer.rest() == [USER_ABORT if state is State.STA2 else UNRECOGNIZED]


async def test_data_in_flight_after_a_release_request_is_no_obstacle_to_the_release() -> None:
    async with in_state(State.STA7) as (_, peer):
        peer.send(PDUS["P-DATA-TF"] + raw_peer.find_rq() + RELEASE_RP)
        assert await peer.rest() == []


@pytest.mark.parametrize("state", EXPECTED)
@pytest.mark.parametrize("end", ["A-ABORT", "closed", "reset"])
async def test_the_end_from_the_peer_in_each_state(state: State, end: str) -> None:
    async with in_state(state) as (server, peer):
        if end == "A-ABORT":
            peer.send(USER_ABORT)
            assert await peer.rest() == []
        elif end == "closed":
            peer.writer.close()
        else:
            peer.writer.transport.abort()
        await until(lambda: not server._connections)


@pytest.mark.parametrize("state", [State.STA2, State.STA13])
async def test_the_artim_timer(state: State) -> None:
    artim_seconds = 0.2 if state is State.STA2 else 120
    async with serving(artim_seconds=artim_seconds) as server, raw_peer.connected(server.port) as peer:
        server.farewell_seconds = 0.2
        if state is State.STA13:
            peer.send(PDUS["P-DATA-TF"])
            assert await peer.read() == USER_ABORT
        assert await peer.rest() == []
        await until(lambda: not server._connections)


async def test_release_collision_ends_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[State] = []

    class Passing(Association):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "state" and isinstance(value, State):
                passed.append(value)
            super().__setattr__(name, value)

    monkeypatch.setattr("gateway.wire.dimse.server.Association", Passing)
    async with in_state(State.STA10, farewell=0.1) as (_, peer):
        peer.send(RELEASE_RP)
        assert await peer.rest() == [RELEASE_RP]
        assert passed[-5:] == [State.STA7, State.STA10, State.STA12, State.STA13, State.STA1]


async def test_a_release_waits_for_the_answer_that_is_under_way() -> None:
    go_on = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        yield EncodedMatch(b"")
        await go_on.wait()

    async with serving(find=find) as server, raw_peer.associated(server.port) as peer:
        peer.send(raw_peer.find_rq(3))
        assert await peer.status() == (3, 0xFF00)
        peer.send(RELEASE_RQ)
        (association,) = server._connections
        await until(lambda: association.state is State.STA8)
        go_on.set()
        assert await peer.status() == (3, 0x0000)  # AR-7
        assert await peer.read() == RELEASE_RP


async def test_an_abort_cancels_the_work() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        begun.set()
        try:
            await asyncio.Event().wait()
            yield EncodedMatch(b"")
        finally:
            cancelled.set()

    ends: list[Callable[[RawPeer], None]] = [
        lambda peer: peer.send(USER_ABORT),
        lambda peer: peer.writer.transport.abort(),
        lambda peer: peer.send(raw_peer.pdu(0x99, b"")),
    ]
    for end in ends:
        begun.clear()
        cancelled.clear()
        async with serving(find=find) as server, raw_peer.associated(server.port) as peer:
            peer.send(raw_peer.find_rq())
            await asyncio.wait_for(begun.wait(), 60)
            end(peer)
            await asyncio.wait_for(cancelled.wait(), 60)


async def test_an_abort_is_the_last_that_is_sent() -> None:
    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        yield EncodedMatch(b"")  # gathered, and not sent yet
        (association,) = server._connections
        association.abort()
        await asyncio.Event().wait()

    async with serving(find=find) as server, raw_peer.associated(server.port) as peer:
        server.farewell_seconds = 0.3
        peer.send(raw_peer.find_rq())
        assert await peer.rest() == [USER_ABORT]
