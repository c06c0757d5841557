"""Security (N.8), as the configuration has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.config.http_receiver import HttpReceiver
from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.audit import AuditKind
from gateway.wire.tls import PROFILE


def sections(config: Config) -> Iterator[StatementSection]:
    """N.8."""
    tables = (_connections(config), _logins(config), _repositories(config))
    events = ", ".join(sorted(AuditKind))
    yield StatementSection("N.8", "Security", _SECURITY.format(profile=PROFILE, events=events), tables)


def _connections(config: Config) -> StatementTable:
    dicom, tls = config.dicom, config.dicom.tls
    rows: list[tuple[str, ...]] = []
    if tls is None or not tls.only:
        rows.append(("DIMSE", "acceptor", f"{dicom.host}:{dicom.port}", "none", "–"))
    if tls is not None:
        asked = "of an authority of `client_ca`" if tls.client_ca else "none asked for"
        rows.append(("DIMSE", "acceptor", f"{dicom.host}:{tls.port}", PROFILE, asked))
    rows.append(_web(config))
    for one in dicom.destinations:
        shown = "ours is shown" if one.tls and one.tls.certificate else "–"
        rows.append(("DIMSE", "requestor", f"{one.host}:{one.port}", PROFILE if one.tls else "none", shown))
    called: list[HttpReceiver] = [*config.studies.forward_to, *config.studies.sources]
    for to in called:
        if to.url:
            shown = "ours is shown" if to.tls and to.tls.certificate else "–"
            profile = PROFILE if to.url.startswith("https:") else "none"
            rows.append(("DICOM Web services", "user agent", to.url, profile, shown))
    columns = ("Service", "Role", "Address", "Secure transport connection profile", "Certificate of the client")
    return StatementTable("Secure connections", columns, rows)


def _web(config: Config) -> tuple[str, ...]:
    http = config.http
    encrypted = PROFILE if http.tls else "of the reverse proxy (`http.behind_proxy`)" if http.behind_proxy else "none"
    asked = "of an authority of `client_ca`" if http.tls and http.tls.client_ca else "none asked for"
    return "DICOM Web services", "origin server", f"{http.host}:{http.port}", encrypted, asked


def _logins(config: Config) -> StatementTable:
    identified = [one.ae_title for one in config.dicom.peers if one.user or one.passcode]
    held = [one.ae_title for one in config.dicom.peers if one.allowed_certificates]
    rows = [
        ("User Identity Negotiation", "user name with passcode", ", ".join(identified) or "no peer"),
        ("Names in the certificate", "Common or DNS names", ", ".join(held) or "no peer"),
        ("DICOM Web services", "HTTP Basic: AE title with passcode or with the token of a scanner; or Bearer",
         "everybody" if config.http.is_open or config.http.token or config.http.oidc
         else "everybody once there is a user; before, peers with a passcode"),
    ]  # fmt: skip
    return StatementTable("Who shows who it is", ("Means", "How", "Asked of"), rows)


def _repositories(config: Config) -> StatementTable:
    rows = [
        (one.name, f"{one.host}:{one.port}", _TRANSMISSION[one.transport], one.message_id)
        for one in config.audit.repositories
    ]
    columns = ("Repository", "Address", "Audit trail message transmission profile", "MSGID")
    return StatementTable("Audit repositories", columns, rows or [("none", "–", "–", "–")])


_TRANSMISSION: Final = {
    "tls": "SYSLOG-TLS (PS3.15 A.6; RFC 5424, 5425)",
    "udp": "SYSLOG-UDP (PS3.15 A.7; RFC 5424, 5426)",
}
_SECURITY: Final = """\
TLS is the {profile}: TLS 1.2 or 1.3, on a port of its own (`dicom.tls`); names of servers that are called are
checked. Certificates of clients are asked for where `dicom.tls.client_ca` names their authority. Peers may be held to
network addresses, certificate names and services.

Audit trail messages (PS3.15 A.5) are made of each view and change of a patient's data, kept here in any case, and sent
to the repositories. Events: {events}."""
