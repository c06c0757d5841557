"""Asking the gateway that serves: over TLS where it does, and with a login of the command's own where one is needed."""

from __future__ import annotations

import hashlib
import json
import ssl
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.context import with_store
from gateway.cli.options import user_of_system
from gateway.cli.output import CommandFailure
from gateway.clock import now
from gateway.records.person import Login, Person, Role

if TYPE_CHECKING:
    from gateway.config.tree import Config

ASK_SECONDS: Final = 10.0
TOKEN_MICROS: Final = 60 * 1_000_000
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def ask(settings: Config, path: str) -> Any | None:
    """What the gateway that serves by this configuration answers, as JSON; None: there is none.

    Raises `CommandFailure` for whoever else listens there, and for an error.
    """
    host = _EVERY_ADDRESS.get(settings.http.host, settings.http.host)
    shown = f"[{host}]" if ":" in host else host
    address = f"{'https' if settings.http.tls else 'http'}://{shown}:{settings.http.port}{path}"
    if not settings.http.port:
        return None
    try:
        status, body = _get(settings, host, path, settings.http.token or "")
        if status == 401 and not settings.http.token:
            status, body = _with_token(settings, host, path)
        if status >= 400:
            raise CommandFailure(f"{address}: HTTP {status}; is that another program, or another token?")
        return json.loads(body)
    except ConnectionRefusedError:
        return None
    except (TimeoutError, ValueError, HTTPException) as error:
        raise CommandFailure(f"{address}: no answer within {ASK_SECONDS:g} s, or none of a gateway") from error
    except OSError as error:
        raise CommandFailure(f"{address}: {error.strerror or error}") from error


def _with_token(settings: Config, host: str, path: str) -> tuple[int, bytes]:
    """With an API token of a minute, which whoever reads and writes the database may make."""
    from gateway.operations.people import tokens

    person = Person(user_of_system(), Role.VIEWER, "", Login.COMMAND)
    name = f"command-{now()}"
    lend = partial(tokens.lend, name=name, person=person, until=now() + TOKEN_MICROS, now=now())
    token = with_store(settings, lambda store: store.write(lend))
    try:
        return _get(settings, host, path, token)
    finally:
        with suppress(CommandFailure):
            with_store(settings, lambda store: store.write(partial(tokens.forget, name=name)))


def _get(settings: Config, host: str, path: str, token: str) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = _connection(settings, host)
    try:
        connection.connect()
        if settings.http.tls is not None:
            _check_certificate(connection, settings)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _connection(settings: Config, host: str) -> HTTPConnection:
    tls, port = settings.http.tls, settings.http.port
    if tls is None:
        return HTTPConnection(host, port, timeout=ASK_SECONDS)
    context = ssl.create_default_context()
    # Not by its name, which is not that of this machine's own address: by the file that the gateway shows.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if tls.client_ca is not None:
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password or "")
    return HTTPSConnection(host, port, timeout=ASK_SECONDS, context=context)


def _check_certificate(connection: HTTPConnection, settings: Config) -> None:
    """Before anything secret is sent."""
    tls = settings.http.tls
    assert tls is not None
    assert isinstance(connection.sock, ssl.SSLSocket)
    held = ssl.PEM_cert_to_DER_cert(_first_certificate(tls.certificate.read_text(encoding="ascii")))
    seen = connection.sock.getpeercert(binary_form=True) or b""
    if hashlib.sha256(held).digest() != hashlib.sha256(seen).digest():
        why = (
            "the certificate shown is not the one in http.tls.certificate: another program, or one that needs a reload"
        )
        raise CommandFailure(f"{connection.host}:{connection.port}: {why}")


def _first_certificate(text: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return f"{begin}{text.partition(begin)[2].partition(end)[0]}{end}\n"
