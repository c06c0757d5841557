"""TLS contexts for our listeners."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from gateway.config.hl7 import ListenerTls
from gateway.errors import ConfigError, SettingFault


def server_tls(tls: ListenerTls, fault_at: Callable[[str, str], SettingFault]) -> ssl.SSLContext:
    """TLS 1.2 and later (BCP 195, PS3.15 B.9); with `client_ca`, only clients that show a certificate of it.

    `fault_at` makes a fault of a key of `tls` and a text. Raises `ConfigError` when a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password, not None: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password or "")
    except OSError as error:
        why = f"{tls.certificate} with {tls.key} cannot be used ({reason_of(error)})"
        raise ConfigError([fault_at("certificate", f"{why}; give PEM files that belong together")]) from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            why = f"{tls.client_ca} cannot be used ({reason_of(error)})"
            raise ConfigError([fault_at("client_ca", why)]) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def reason_of(error: OSError) -> str:
    """Why a certificate, key or authority cannot be used, in the words of OpenSSL or of the system."""
    return str(getattr(error, "reason", None) or error.strerror or error)
