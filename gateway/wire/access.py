"""Who may connect: addresses against networks, and the names in a certificate that TLS has verified."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an IP address, with or without a zone, lies in one of the networks; what is no address does not."""
    try:
        one = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(one, "ipv4_mapped", None) or one
    return any(mapped in network for network in networks)


def certificate_names(transport: asyncio.BaseTransport) -> tuple[str, ...]:
    """Common name and DNS names of the peer's certificate; none without TLS, or when none was asked for."""
    certificate = transport.get_extra_info("peercert") or {}
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    alternative = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    return tuple(dict.fromkeys([*common, *alternative]))
