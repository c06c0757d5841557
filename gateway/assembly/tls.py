"""TLS contexts for our listeners and for the systems that we call, with faults that name the key."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from gateway.config.hl7 import ListenerTls
from gateway.config.receiver import ClientTls
from gateway.errors import ConfigError, SettingFault
from gateway.wire.tls import TlsFileError, client_context, load_into, server_context

_Files = tuple[ListenerTls | ClientTls, Callable[[TlsFileError], SettingFault]]
_FILES: Final[WeakKeyDictionary[ssl.SSLContext, _Files]] = WeakKeyDictionary()
"""The contexts in use, each with the files that it was made of."""


def server_tls(tls: ListenerTls, fault_at: Callable[[str, str], SettingFault]) -> ssl.SSLContext:
    """The context of a listener. `fault_at` makes a fault of a key of `tls` and a text.

    Raises `ConfigError` when a file cannot be used.
    """
    return _noted(tls, lambda error: fault_at(error.key, error.text))


def client_tls(tls: ClientTls | None, place: str) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None for None. `place`: the section that `tls` stands in.

    Raises `ConfigError` when a file cannot be used.
    """
    return None if tls is None else _noted(tls, lambda error: SettingFault(place, f"tls.{error}"))


def check_again() -> None:
    """Read the files of all contexts in use. Raises `ConfigError` when any cannot be used; nothing changes."""
    faults = []
    for tls, fault_of in list(_FILES.values()):
        try:
            _made(tls)
        except TlsFileError as error:
            faults.append(fault_of(error))
    if faults:
        raise ConfigError(faults)


def load_again() -> None:
    """Let the contexts in use have the certificates that are in their files now, from the next connection on.

    An authority that was added counts as well; one that was taken out counts until the gateway starts anew. Raises
    `ConfigError` when a file cannot be used any more.
    """
    for context, (tls, fault_of) in list(_FILES.items()):
        try:
            load_into(context, tls.certificate, tls.key, tls.key_password, _authorities(tls))
        except TlsFileError as error:
            raise ConfigError([fault_of(error)]) from error


def _noted(tls: ListenerTls | ClientTls, fault_of: Callable[[TlsFileError], SettingFault]) -> ssl.SSLContext:
    try:
        context = _made(tls)
    except TlsFileError as error:
        raise ConfigError([fault_of(error)]) from error
    _FILES[context] = tls, fault_of
    return context


def _made(tls: ListenerTls | ClientTls) -> ssl.SSLContext:
    if isinstance(tls, ListenerTls):
        return server_context(tls.certificate, tls.key, tls.key_password, tls.client_ca)
    return client_context(tls.ca, tls.certificate, tls.key, tls.key_password)


def _authorities(tls: ListenerTls | ClientTls) -> Path | None:
    return tls.client_ca if isinstance(tls, ListenerTls) else tls.ca
