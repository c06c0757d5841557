"""How a system that is called over HTTP is let know who we are, as the configuration says.

What signs and checks tokens takes a sixth of a second to load, which only those wait for who use it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.assembly.tls import client_tls
from gateway.config.http_receiver import HttpAuth, HttpReceiver
from gateway.config.tree import Config
from gateway.errors import ConfigError, SettingFault
from gateway.wire.oauth.authorization import Anonymous, Authorization, Basic, Bearer

if TYPE_CHECKING:
    from gateway.wire.oauth.clients import Client
    from gateway.wire.oauth.keys import KeyRing
    from gateway.wire.oauth.token import TokenAuthorization


def kind_of(receiver: HttpReceiver) -> str:
    """The kind of authentication, in the words of the configuration."""
    return receiver.auth.kind if receiver.auth is not None else "none"


def authorization_of(receiver: HttpReceiver) -> Authorization:
    """Raises `ConfigError` when a key or token file cannot be used."""
    try:
        return _MAKERS[kind_of(receiver)](receiver, receiver.auth or HttpAuth(kind="none"))
    except ConfigError as error:
        raise ConfigError(
            [SettingFault(f"{receiver.SECTION} {receiver.name}", f"auth: {fault}") for fault in error.faults]
        ) from error


def usable(receiver: HttpReceiver) -> None:
    """Raises `ConfigError` when a certificate, key or token file cannot be used. Of a folder, or an archive over DICOM,
    there is none."""
    if receiver.url:
        authorization_of(receiver)
        tls_of(receiver)


def http_receivers(config: Config) -> tuple[HttpReceiver, ...]:
    """All systems that the gateway calls over HTTP and shows a login to."""
    over_http: list[HttpReceiver] = [*config.studies.forward_to, *config.studies.sources]
    return (*config.ehrs, *(one for one in over_http if one.url))


def published_keys(config: Config) -> Callable[[], dict[str, Any]]:
    """The JWK Set of all keys that any receiver knows us by, as their files are now. Raises `ConfigError`."""
    ours = [one.auth for one in http_receivers(config) if one.auth is not None and one.auth.kind == "smart"]
    if not ours:
        return lambda: {"keys": []}
    from gateway.wire.oauth.keys import key_set

    rings = [ring_of(auth) for auth in ours]
    return lambda: key_set(rings)


def ring_of(auth: HttpAuth) -> KeyRing:
    from gateway.wire.oauth.keys import KeyRing

    return KeyRing(auth.keys, password=auth.key_password)


def tls_of(receiver: HttpReceiver) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None is the system's own. Raises `ConfigError`."""
    return client_tls(receiver.tls, f"{receiver.SECTION} {receiver.name}")


def _tokens(receiver: HttpReceiver, auth: HttpAuth, client: Client) -> TokenAuthorization:
    from gateway.wire.http import Connect
    from gateway.wire.oauth.token import TokenAuthorization

    return TokenAuthorization(
        receiver.url,
        client,
        scopes=auth.scopes,
        token_url=auth.token_url or "",
        connect=Connect(receiver.timeout_seconds, tls_of(receiver), receiver.proxy),
    )


def _by_secret(receiver: HttpReceiver, auth: HttpAuth) -> Authorization:
    from gateway.wire.oauth.clients import SecretClient

    post = auth.client_authentication == "client_secret_post"
    return _tokens(receiver, auth, SecretClient(auth.client_id, auth.client_secret or "", post=post))


def _by_key(receiver: HttpReceiver, auth: HttpAuth) -> Authorization:
    from gateway.wire.oauth.clients import KeyClient

    return _tokens(receiver, auth, KeyClient(auth.client_id, ring_of(auth), jwks_url=auth.jwks_url or ""))


_MAKERS: Final[dict[str, Callable[[HttpReceiver, HttpAuth], Authorization]]] = {
    "none": lambda receiver, auth: Anonymous(),
    "basic": lambda receiver, auth: Basic(auth.user, auth.password or ""),
    "bearer": lambda receiver, auth: Bearer(auth.token_file or auth.token or ""),
    "client_credentials": _by_secret,
    "smart": _by_key,
}
