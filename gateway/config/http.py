"""Sections `http` and `facade`."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gateway.config.fields import HttpUrl, Network, Port, Seconds, Section, is_loopback
from gateway.config.hl7 import ListenerTls
from gateway.config.receiver import ClientTls

RoleName = Literal["viewer", "operator", "admin"]


class SessionSection(Section):
    """How long a login of a user lasts."""

    idle_minutes: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 30.0
    """Without a request."""
    hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = 12.0
    """In all."""


class Oidc(Section):
    """An identity provider that speaks OpenID Connect, at which people log in."""

    issuer: HttpUrl
    """Its address, as it stands in its tokens; /.well-known/openid-configuration is below it."""
    client_id: Annotated[str, Field(min_length=1)]
    """The name under which it knows the gateway."""
    client_secret: str | None = Field(default=None, repr=False)
    """(or `client_secret_file`)"""
    role_claim: Annotated[str, Field(min_length=1)] = "roles"
    """Claim of the ID token, or of the answer about the user, that says what a person may do; a.b is b within a."""
    roles: dict[str, RoleName] = {"viewer": "viewer", "operator": "operator", "admin": "admin"}
    """Value of the claim -> role; the highest counts. Who has none of them is not let in."""
    name_claim: Annotated[str, Field(min_length=1)] = "preferred_username"
    """Claim with the name under which a person is shown and kept."""
    scopes: list[str] = ["openid", "profile"]
    label: Annotated[str, Field(min_length=1)] = "the hospital's account"
    """What the button is called: Log in with ..."""
    tls: ClientTls | None = None
    """Authorities that may have signed its certificate."""

    @field_validator("issuer")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        if value.startswith("http://") and not is_loopback(urlsplit(value).hostname or ""):
            raise ValueError("must begin with https:// beyond this machine: its answers say who is an admin")
        return value


class Http(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    token: str | None = Field(default=None, repr=False)
    """A token (or `token_file`) that opens everything, as an admin: for the first steps and for scripts of old."""
    tls: ListenerTls | None = None
    """Certificate and key; without them HTTP is not encrypted here."""
    behind_proxy: list[Network] = []
    """Addresses of reverse proxies that encrypt: their X-Forwarded headers count, and a login is asked for."""
    session: SessionSection = SessionSection()
    oidc: Oidc | None = None
    max_connections: Annotated[int, Field(ge=1)] = 256
    """At most a quarter of the files that the process may have open; the others are for HL7 and DICOM."""
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = None
    """None: three quarters of those in all."""
    head_seconds: Seconds = 10.0
    """How long the head of a request may take."""
    body_seconds: Seconds = 60.0
    """How long the body of a request may take, and how long an answer waits for a peer that does not read."""

    @property
    def is_open(self) -> bool:
        """It is reached from other machines, so that a login is asked for."""
        return not is_loopback(self.host) or bool(self.behind_proxy)


class Facade(Section):
    """The gateway's own read-only FHIR server, below /fhir of the console's address."""

    enabled: bool = False
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`) asked of whoever reads; without one, that of the console."""
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Its public base address, where a proxy stands before it; without one, the one by which it was asked."""

    @field_validator("url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value and value.rstrip("/")
