"""TLS contexts for our listeners and for the systems that we call, with faults that name the key."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from gateway.config.hl7 import ListenerTls
from gateway.config.receiver import ClientTls
from gateway.errors import ConfigError, SettingFault
from gateway.wire.tls import TlsFileError, client_context, server_context


def server_tls(tls: ListenerTls, fault_at: Callable[[str, str], SettingFault]) -> ssl.SSLContext:
    """The context of a listener. `fault_at` makes a fault of a key of `tls` and a text.

    Raises `ConfigError` when a file cannot be used.
    """
    try:
        return server_context(tls.certificate, tls.key, tls.key_password, tls.client_ca)
    except TlsFileError as error:
        raise ConfigError([fault_at(error.key, error.text)]) from error


def client_tls(tls: ClientTls | None, place: str) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None for None. `place`: the section that `tls` stands in.

    Raises `ConfigError` when a file cannot be used.
    """
    if tls is None:
        return None
    try:
        return client_context(tls.ca, tls.certificate, tls.key, tls.key_password)
    except TlsFileError as error:
        raise ConfigError([SettingFault(place, f"tls.{error}")]) from error
