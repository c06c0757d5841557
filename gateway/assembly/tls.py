"""TLS contexts for our listeners, with faults that name the key."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from gateway.config.hl7 import ListenerTls
from gateway.errors import ConfigError, SettingFault
from gateway.wire.tls import TlsFileError, server_context


def server_tls(tls: ListenerTls, fault_at: Callable[[str, str], SettingFault]) -> ssl.SSLContext:
    """The context of a listener. `fault_at` makes a fault of a key of `tls` and a text.

    Raises `ConfigError` when a file cannot be used.
    """
    try:
        return server_context(tls.certificate, tls.key, tls.key_password, tls.client_ca)
    except TlsFileError as error:
        raise ConfigError([fault_at(error.key, error.text)]) from error
