"""A repository gets each event in order; while it is away events wait, and what is skipped is stated."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from bench.ports import free_port
from gateway.clock import now
from gateway.operations.audit import shipping
from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.receiving import SyslogReceiver
from gateway.operations.audit.shipping import AuditShipping, ShippingSetup
from gateway.operations.audit.verifying import verify
from gateway.operations.state.part import Level
from gateway.operations.state.repositories import repository_part
from gateway.records.audit import AuditKind, AuditType, event_of
from gateway.store import Store, audit, audit_listing, audit_positions
from gateway.store.audit_log import seal_all
from gateway.store.audit_positions import Position
from gateway.store.schema import audit as audit_rows
from gateway.store.schema import audit_repositories
from gateway.wire.syslog.message import SyslogHeader
from gateway.wire.syslog.sender import SyslogSender, TlsSyslog, UdpSyslog
from gateway.wire.tls import client_context
from tests.conftest import comes_true, until
from tests.operations.audit.events import faults
from tests.peers.openssl import Authority
from tests.peers.syslog import tls_receiver, udp_receiver
from tests.store.test_audit import happened, recorded

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What goes over the wire does not depend on the database."""


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(shipping, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(shipping, "BATCH", 3)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def shipped(store: Store, sender: SyslogSender, most_waiting: int = 1000) -> AsyncIterator[None]:
    header = SyslogHeader("gateway1", "imaging-gateway")
    receiver = SyslogReceiver(sender, header, AuditSource("Test site", "gateway1"), now)
    task = asyncio.create_task(AuditShipping(store, ShippingSetup("siem", most_waiting), receiver, now).run())
    try:
        await eventually(store, lambda one: True, "the position of the repository")
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def eventually(store: Store, condition: Callable[[Position], object], what: str) -> None:
    """Wait until `condition` holds of the position of the repository."""
    await comes_true(
        lambda: store.read(audit_positions.positions), lambda found: "siem" in found and condition(found["siem"])
    )


async def happen(store: Store, first: int, last: int) -> None:
    await store.write(recorded(*(happened(number, "P") for number in range(first, last + 1))))
    await store.write(audit.seal)


def tls(authority: Authority, port: int, host: str = "localhost", **given: Path) -> TlsSyslog:
    context = client_context(authority.certificate, given.get("certificate"), given.get("key"), None)
    return TlsSyslog(host, port, tls=context, timeout=60.0)


@sqlite
async def test_events_go_over_tls_in_order_and_are_valid(store: Store, authority: Authority) -> None:
    async with tls_receiver(authority.issue("siem")) as receiver:
        await happen(store, 1, 2)
        async with shipped(store, tls(authority, receiver.port)):
            await happen(store, 3, 9)
            await until(lambda: len(receiver.messages) == 7, what="the messages: what was before is not sent")
            await eventually(store, lambda one: one.sequence == 9, "what was confirmed")
        bodies = receiver.bodies
        assert [fault for body in bodies for fault in faults(body)] == []
        assert receiver.connections == 1
        assert receiver.messages[0].startswith(b"<85>1 ")


@sqlite
async def test_events_go_over_udp(store: Store) -> None:
    async with udp_receiver() as receiver, shipped(store, UdpSyslog("127.0.0.1", receiver.port)):
        await happen(store, 1, 4)
        await until(lambda: len(receiver.messages) == 4, what="the datagrams")
        assert [fault for body in receiver.bodies for fault in faults(body)] == []


@sqlite
async def test_a_strange_certificate_is_refused_and_named(store: Store, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    async with tls_receiver(other.issue("siem")) as receiver, shipped(store, tls(authority, receiver.port)):
        await happen(store, 1, 1)
        await eventually(store, lambda one: "certificate is not accepted" in one.reason, "the failure")
        assert receiver.messages == []


@sqlite
async def test_a_receiver_may_ask_for_our_certificate(store: Store, authority: Authority) -> None:
    ours = authority.issue("gateway")
    async with tls_receiver(authority.issue("siem"), client_ca=authority.certificate) as receiver:
        sender = tls(authority, receiver.port, certificate=ours.certificate, key=ours.key)
        async with shipped(store, sender):
            await happen(store, 1, 2)
            await until(lambda: len(receiver.messages) == 2, what="the messages")


async def test_what_waits_is_sent_when_the_repository_is_back(store: Store, authority: Authority) -> None:
    issued = authority.issue("siem")
    port = free_port()
    async with shipped(store, tls(authority, port)):
        await happen(store, 1, 10)
        await eventually(store, lambda one: one.reason, "the failure")
        position = (await store.read(audit_positions.positions))["siem"]
        assert position.away_since is not None
        async with tls_receiver(issued, port=port) as receiver:
            await until(lambda: len(receiver.messages) == 10, what="the messages")
            await eventually(store, lambda one: one.away_since is None, "the end of the outage")
            receiver.cut()
            await happen(store, 11, 14)
            await until(lambda: {"11", "14"} <= {*map(_accession, receiver.bodies)}, what="the rest")


def _accession(body: bytes) -> str:
    return body.partition(b'Number="A')[2].partition(b'"')[0].decode()


async def test_of_too_many_the_oldest_are_skipped_and_that_is_recorded(store: Store, authority: Authority) -> None:
    port = free_port()
    async with shipped(store, tls(authority, port), most_waiting=5):
        await happen(store, 1, 12)
        await eventually(store, lambda one: one.reason, "the failure")
        async with tls_receiver(authority.issue("siem"), port=port) as receiver:
            await until(lambda: len(receiver.messages) >= 4, what="the newest")
        await store.write(audit.seal)
    position = (await store.read(audit_positions.positions))["siem"]
    assert position.skipped == 8, "the event of the gap is among the five"
    newest = select(audit_rows.c.event).order_by(audit_rows.c.sequence.desc()).limit(1)
    [text] = await store.read(lambda connection: connection.execute(newest).scalars().all())
    alert = event_of(text)
    assert (alert.kind, alert.type) == (AuditKind.SECURITY_ALERT, AuditType.AUDIT_RECORDING_STOPPED)
    assert "8 events were not sent" in alert.note


async def test_one_process_sends(store: Store) -> None:
    claim = partial(audit_positions.claim, name="siem", now=10, until=20)
    assert await store.write(partial(claim, holder="a")) is not None
    assert await store.write(partial(claim, holder="b")) is None
    assert await store.write(partial(claim, holder="a")) is not None
    assert await store.write(partial(claim, holder="b", now=30, until=40)) is not None


@sqlite
async def test_two_processes_send_each_event_once(store: Store) -> None:
    """One rests, so that the other takes over; then the first goes on where the other was."""
    sent: dict[str, list[int]] = {"a": [], "b": []}
    header, source = SyslogHeader("gateway1", "imaging-gateway"), AuditSource("Test site", "gateway1")
    setup = ShippingSetup("siem", 1000)
    receivers = [SyslogReceiver(_Kept(sent[name]), header, source, now) for name in ("a", "b")]
    one, other = (AuditShipping(store, setup, receiver, now) for receiver in receivers)
    await _turn(store, one)
    number = 0
    for shipping_now in (one, other, one, other):
        await happen(store, number + 1, number + 4)
        number += 4
        await _turn(store, shipping_now)
        assert (await store.read(audit_positions.positions))["siem"].sequence == number
        await store.write(_let_go)
    assert (len(sent["a"]), len(sent["b"])) == (8, 8)


@sqlite
async def test_a_process_that_lost_its_turn_stops(store: Store) -> None:
    header, source = SyslogHeader("gateway1", "imaging-gateway"), AuditSource("Test site", "gateway1")
    sent: list[int] = []

    class _Slow(_Kept):
        async def send(self, messages: Sequence[bytes]) -> None:
            await super().send(messages)
            await store.write(_let_go)
            assert await store.write(partial(audit_positions.claim, name="siem", holder="b", now=10**18, until=2**62))

    receiver = SyslogReceiver(_Slow(sent), header, source, now)
    one = AuditShipping(store, ShippingSetup("siem", 1000), receiver, now)
    assert await one._claimed() is not None
    await happen(store, 1, 9)
    position = await one._claimed()
    assert position is not None
    await one._send_all(position)
    assert len(sent) == 3, "one batch"
    assert (await store.read(audit_positions.positions))["siem"].sequence == 0


@sqlite
async def test_a_row_that_was_made_unreadable_does_not_end_the_reports(store: Store) -> None:
    sent: list[bytes] = []

    class _All(_Kept):
        async def send(self, messages: Sequence[bytes]) -> None:
            sent.extend(messages)

    header, source = SyslogHeader("gateway1", "imaging-gateway"), AuditSource("Test site", "gateway1")
    receiver = SyslogReceiver(_All([]), header, source, now)
    one = AuditShipping(store, ShippingSetup("siem", 1000), receiver, now)
    await _turn(store, one)
    await happen(store, 1, 5)
    for number, text in enumerate(("{", "[]", "{}", '{"peer": 1}'), start=1):
        await store.write(partial(_alter, number=number, text=text))
    await _turn(store, one)
    assert len(sent) == 5
    assert all(b"cannot be read" in message for message in sent[:4])


def _alter(connection: Connection, number: int, text: str) -> None:
    connection.execute(update(audit_rows).where(audit_rows.c.sequence == number).values(event=text))


class _Kept:
    """A sender to nowhere, whose connection lasts."""

    def __init__(self, sent: list[int]) -> None:
        self._sent, self._is_open = sent, False

    async def open(self) -> bool:
        is_new, self._is_open = not self._is_open, True
        return is_new

    async def send(self, messages: Sequence[bytes]) -> None:
        self._sent += map(len, messages)

    async def close(self) -> None:
        pass


async def _turn(store: Store, one: AuditShipping) -> None:
    position = await one._claimed()
    assert position is not None
    await one._send_all(position)


def _let_go(connection: Connection) -> None:
    connection.execute(update(audit_repositories).values(held_until=0))


async def test_while_a_repository_is_away_too_many_events_are_skipped(store: Store, authority: Authority) -> None:
    """Retention waits for those that are not sent: it must not wait without end."""
    port = free_port()
    async with shipped(store, tls(authority, port), most_waiting=5):
        await happen(store, 1, 12)
        await eventually(store, lambda one: one.skipped == 8, "what is skipped")
    assert await store.read(partial(audit_positions.least_sent, tried_since=0)) == 8
    assert await store.read(partial(audit_positions.least_sent, tried_since=2**62)) is None


@sqlite
@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed")
async def test_rsyslog_takes_what_is_sent(store: Store, authority: Authority, tmp_path: Path) -> None:
    from tests.peers.rsyslog import rsyslog

    async with rsyslog(tmp_path, authority) as (port, written), shipped(store, tls(authority, port)):
        await happen(store, 1, 5)
        await until(lambda: written.exists() and len(written.read_bytes().splitlines()) == 5, what="the lines")
    for line in written.read_bytes().splitlines():
        assert faults(line[line.index(b"<?xml") :]) == []


def test_tls_is_1_2_or_later(authority: Authority) -> None:
    context = client_context(authority.certificate, None, None, None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname


@sqlite
async def test_an_hour_of_load_without_the_repository(
    store: Store, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour is of the test's clock: 1,200 orders, of which nothing waits anywhere but in the trail itself."""
    monkeypatch.setattr(shipping, "BATCH", 100)
    port = free_port()
    async with shipped(store, tls(authority, port), most_waiting=10_000):
        await happen(store, 1, 1)
        await eventually(store, lambda one: one.reason, "the failure")
        for minute in range(60):
            await store.write(recorded(*(happened(60 * minute + second, "P") for second in range(2, 62, 3))))
        await seal_all(store)
        [standing] = await store.read(audit_listing.repositories)
        assert (standing.waiting, standing.skipped) == (1_201, 0)
        assert standing.away_since is not None
        part = repository_part(standing, standing.away_since + 3_600 * 1_000_000)
        assert (part.level, part.detail.startswith("is away: ")) == (Level.BAD, True)
        assert (await verify(store)).fault is None
        async with tls_receiver(authority.issue("siem"), port=port) as receiver:
            await until(lambda: len(receiver.messages) >= 1_201, what="all of the hour")
            await eventually(store, lambda one: one.away_since is None, "the end of the outage")
