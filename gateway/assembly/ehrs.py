"""How an EHR is reached and let know who we are, as the configuration says.

What signs and checks tokens takes a sixth of a second to load, which only those wait for who use it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.assembly.tls import client_tls
from gateway.config.ehrs import Ehr, EhrAuth
from gateway.config.tree import Config
from gateway.errors import ConfigError, SettingFault
from gateway.wire.fhir import FhirClient
from gateway.wire.oauth.authorization import Anonymous, Authorization, Basic, Bearer

if TYPE_CHECKING:
    from gateway.wire.oauth.clients import Client
    from gateway.wire.oauth.keys import KeyRing
    from gateway.wire.oauth.token import TokenAuthorization


def client_of(ehr: Ehr, *, authorization: Authorization | None = None, most_seconds: float | None = None) -> FhirClient:
    """Raises `ConfigError` when a certificate, key or token file cannot be used."""
    return FhirClient(
        ehr.url,
        timeout_seconds=min(ehr.timeout_seconds, most_seconds or ehr.timeout_seconds),
        authorization=authorization or authorization_of(ehr),
        ssl=tls_of(ehr),
        proxy=ehr.proxy,
        connections=ehr.concurrency,
        per_second=ehr.max_requests_per_second,
        compress=ehr.gzip,
    )


def kind_of(ehr: Ehr) -> str:
    """The kind of authentication, in the words of the configuration."""
    return ehr.auth.kind if ehr.auth is not None else "none"


def authorization_of(ehr: Ehr) -> Authorization:
    """Raises `ConfigError` when a key or token file cannot be used."""
    try:
        return _MAKERS[kind_of(ehr)](ehr, ehr.auth or EhrAuth(kind="none"))
    except ConfigError as error:
        raise ConfigError([SettingFault(f"ehrs {ehr.name}", f"auth: {fault}") for fault in error.faults]) from error


def published_keys(config: Config) -> Callable[[], dict[str, Any]]:
    """The JWK Set of all keys that any EHR knows us by, as their files are now. Raises `ConfigError`."""
    ours = [ehr.auth for ehr in config.ehrs if ehr.auth is not None and ehr.auth.kind == "smart"]
    if not ours:
        return lambda: {"keys": []}
    from gateway.wire.oauth.keys import key_set

    rings = [ring_of(auth) for auth in ours]
    return lambda: key_set(rings)


def ring_of(auth: EhrAuth) -> KeyRing:
    from gateway.wire.oauth.keys import KeyRing

    return KeyRing(auth.keys, password=auth.key_password)


def tls_of(ehr: Ehr) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None is the system's own. Raises `ConfigError`."""
    return client_tls(ehr.tls, f"ehrs {ehr.name}")


def _tokens(ehr: Ehr, auth: EhrAuth, client: Client) -> TokenAuthorization:
    from gateway.wire.oauth.token import Connect, TokenAuthorization

    return TokenAuthorization(
        ehr.url,
        client,
        scopes=auth.scopes,
        token_url=auth.token_url or "",
        connect=Connect(ehr.timeout_seconds, tls_of(ehr), ehr.proxy),
    )


def _by_secret(ehr: Ehr, auth: EhrAuth) -> Authorization:
    from gateway.wire.oauth.clients import SecretClient

    post = auth.client_authentication == "client_secret_post"
    return _tokens(ehr, auth, SecretClient(auth.client_id, auth.client_secret or "", post=post))


def _by_key(ehr: Ehr, auth: EhrAuth) -> Authorization:
    from gateway.wire.oauth.clients import KeyClient

    return _tokens(ehr, auth, KeyClient(auth.client_id, ring_of(auth), jwks_url=auth.jwks_url or ""))


_MAKERS: Final[dict[str, Callable[[Ehr, EhrAuth], Authorization]]] = {
    "none": lambda ehr, auth: Anonymous(),
    "basic": lambda ehr, auth: Basic(auth.user, auth.password or ""),
    "bearer": lambda ehr, auth: Bearer(auth.token_file or auth.token or ""),
    "client_credentials": _by_secret,
    "smart": _by_key,
}
