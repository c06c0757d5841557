"""TLS contexts: TLS 1.2 and later (PS3.15 B.12), for listeners and for clients."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

PROFILE: Final = "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)"
"""TLS 1.2 is offered always, 1.3 wherever both have it, nothing older."""


class TlsFileError(Exception):
    """A certificate, key or authority that cannot be used. `key`: `certificate`, `client_ca` or `ca`."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key
        self.text = text


def server_context(certificate: Path, key: Path, password: str | None, client_ca: Path | None) -> ssl.SSLContext:
    """For a listener; with `client_ca`, only clients that show a certificate of that authority.

    Raises `TlsFileError`.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, certificate, key, password)
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise TlsFileError("client_ca", f"{client_ca} cannot be used ({_reason_of(error)})") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path | None, certificate: Path | None, key: Path | None, password: str | None) -> ssl.SSLContext:
    """For a client: host names are checked, by `ca` or else by the system's authorities. Raises `TlsFileError`."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise TlsFileError("ca", f"{ca} cannot be used ({_reason_of(error)})") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        _load(context, certificate, key, password)
    return context


def load_into(
    context: ssl.SSLContext, certificate: Path | None, key: Path | None, password: str | None, ca: Path | None
) -> None:
    """Let a context in use show this certificate, and trust these authorities beside those that it has.

    Raises `TlsFileError`.
    """
    if certificate is not None:
        _load(context, certificate, key, password)
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise TlsFileError("ca", f"{ca} cannot be used ({_reason_of(error)})") from error


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None, password: str | None) -> None:
    try:
        # An empty password, not None: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password or "")
    except OSError as error:
        why = f"{certificate} with {key or 'the key in it'} cannot be used ({_reason_of(error)})"
        raise TlsFileError("certificate", f"{why}; give PEM files that belong together") from error


def _reason_of(error: OSError) -> str:
    """The reason in the words of OpenSSL or of the system."""
    return str(getattr(error, "reason", None) or error.strerror or error)
