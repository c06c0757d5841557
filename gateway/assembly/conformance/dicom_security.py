"""Security (N.8), as the configuration has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.wire.tls import PROFILE


def sections(config: Config) -> Iterator[StatementSection]:
    """N.8."""
    yield StatementSection(
        "N.8", "Security", _SECURITY.format(profile=PROFILE), (_connections(config), _logins(config))
    )


def _connections(config: Config) -> StatementTable:
    dicom, tls = config.dicom, config.dicom.tls
    rows = []
    if tls is None or not tls.only:
        rows.append(("DIMSE", "acceptor", f"{dicom.host}:{dicom.port}", "none", "–"))
    if tls is not None:
        asked = "of an authority of `client_ca`" if tls.client_ca else "none asked for"
        rows.append(("DIMSE", "acceptor", f"{dicom.host}:{tls.port}", PROFILE, asked))
    for one in dicom.destinations:
        shown = "ours is shown" if one.tls and one.tls.certificate else "–"
        rows.append(("DIMSE", "requestor", f"{one.host}:{one.port}", PROFILE if one.tls else "none", shown))
    columns = ("Service", "Role", "Address", "Secure transport connection profile", "Certificate of the client")
    return StatementTable("Secure connections", columns, rows)


def _logins(config: Config) -> StatementTable:
    identified = [one.ae_title for one in config.dicom.peers if one.user or one.passcode]
    held = [one.ae_title for one in config.dicom.peers if one.allowed_certificates]
    rows = [
        ("User Identity Negotiation", "user name with passcode", ", ".join(identified) or "no peer"),
        ("Names in the certificate", "Common or DNS names", ", ".join(held) or "no peer"),
        ("DICOM Web services", "HTTP Basic: AE title with passcode, or Bearer token",
         "asked for" if config.http.token else "peers with a passcode only"),
    ]  # fmt: skip
    return StatementTable("Who shows who it is", ("Means", "How", "Asked of"), rows)


_SECURITY: Final = """\
TLS is the {profile}: TLS 1.2 or 1.3, on a port of its own (`dicom.tls`); names of servers that are called are
checked. Certificates of clients are asked for where `dicom.tls.client_ca` names their authority. Peers may be held to
network addresses, certificate names and services."""
