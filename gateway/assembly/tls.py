"""TLS contexts for our listeners."""

from __future__ import annotations

import ssl

from gateway.config.hl7 import ListenerTls
from gateway.errors import ConfigError


def server_tls(key: str, tls: ListenerTls) -> ssl.SSLContext:
    """TLS 1.2 and later (BCP 195, PS3.15 B.9); with `client_ca`, only clients that show a certificate of it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password, not None: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password or "")
    except OSError as error:
        why = f"{tls.certificate} with {tls.key} cannot be used ({reason_of(error)})"
        raise ConfigError([f"{key}.certificate: {why}; give PEM files that belong together"]) from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            raise ConfigError([f"{key}.client_ca: {tls.client_ca} cannot be used ({reason_of(error)})"]) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def reason_of(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
