"""Who may associate, from where, and for what (PS3.8 9.3.4; PS3.7 D.3.3.7)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.wire.access import Network, is_within

VERIFICATION, WORKLIST, STORAGE, MPPS = "verification", "worklist", "storage", "mpps"
IAN = "ian"
"""Instance Availability Notification (PS3.4 Annex R)."""
COMMITMENT = "commitment"
"""Storage Commitment (PS3.4 Annex J)."""
SERVICES: Final = frozenset({VERIFICATION, WORKLIST, STORAGE, MPPS, IAN, COMMITMENT})


@dataclass(frozen=True)
class Caller:
    """Who asks: AE titles without padding, the peer's network address, and the names in its certificate, if TLS has
    verified one."""

    calling_ae: str
    called_ae: str
    address: str
    certificate_names: tuple[str, ...] = ()


class Rejection(NamedTuple):
    """An A-ASSOCIATE-RJ (PS3.8 Table 9-21): Result, Source, Reason/Diag., and what the log says."""

    result: int
    source: int
    diagnostic: int
    why: str


@dataclass(frozen=True)
class Peer:
    """What one calling AE title may do. Empty addresses or certificates: any."""

    addresses: tuple[Network, ...] = ()
    certificate_names: frozenset[str] = frozenset()
    services: frozenset[str] = SERVICES
    max_associations: int | None = None
    user: str = ""
    """With a passcode, the User Identity that an association must show."""
    passcode: str = field(default="", repr=False)


@dataclass(frozen=True)
class AcceptorPolicy:
    """`peers` by calling AE title; `others` is what a title that is not listed may do, None: nothing."""

    ae_title: str
    check_called_ae: bool = False
    peers: Mapping[str, Peer] = field(default_factory=dict)
    others: Peer | None = Peer()
    max_associations: int = 100
    max_associations_per_address: int | None = None
    """None: as many as in all."""
    storage_classes: frozenset[str] = frozenset()
    """UIDs of storage classes that are taken beside those of the standard."""

    def admit(
        self,
        caller: Caller,
        identity: tuple[str, str] | None,
        open_by_title: Mapping[str, int],
        open_by_address: Mapping[str, int],
    ) -> Peer | Rejection:
        """`identity`: user and passcode shown; `open_by_...`: associations that are open, by calling AE title and by
        the caller's address."""
        peer = self.peers.get(caller.calling_ae, self.others)
        if self.check_called_ae and caller.called_ae != self.ae_title:
            return Rejection(1, 1, 7, f"called AE title is {caller.called_ae}, not {self.ae_title}")
        if peer is None:
            return Rejection(1, 1, 3, f"calling AE title {caller.calling_ae} is not among the peers")
        if peer.addresses and not is_within(caller.address, peer.addresses):
            return Rejection(1, 1, 3, f"calling AE title {caller.calling_ae} may not come from there")
        if peer.certificate_names and peer.certificate_names.isdisjoint(caller.certificate_names):
            return Rejection(1, 1, 3, f"calling AE title {caller.calling_ae} shows no certificate on its list")
        if (peer.user or peer.passcode) and not _is_same(identity, (peer.user, peer.passcode)):
            return Rejection(1, 1, 1, f"calling AE title {caller.calling_ae} shows no valid user identity")
        if sum(open_by_title.values()) >= self.max_associations:
            return Rejection(2, 3, 2, f"{sum(open_by_title.values())} are open")
        same = open_by_address.get(caller.address, 0)
        if self.max_associations_per_address is not None and same >= self.max_associations_per_address:
            return Rejection(2, 3, 2, f"{same} of {caller.address} are open")
        mine = open_by_title.get(caller.calling_ae, 0)
        if peer.max_associations is not None and mine >= peer.max_associations:
            return Rejection(2, 3, 2, f"{mine} of {caller.calling_ae} are open")
        return peer


def _is_same(shown: tuple[str, str] | None, expected: tuple[str, str]) -> bool:
    return shown is not None and all(
        hmac.compare_digest(one.encode(), other.encode()) for one, other in zip(shown, expected, strict=True)
    )
