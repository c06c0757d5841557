"""What the sections of systems that the gateway calls over HTTP (EHRs, archives with STOW-RS) have in common: address
and login."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.fields import HttpUrl, Seconds, Section, Wrong
from gateway.config.receiver import ClientTls, ReceiverName

NEEDED: dict[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("user", "password"),
    "bearer": (),
    "client_credentials": ("client_id", "client_secret", "token_url"),
    "smart": ("client_id", "keys"),
}
"""Kind of authentication -> the keys it cannot do without."""


class HttpAuth(Section):
    """How the system knows us."""

    kind: Literal["none", "basic", "bearer", "client_credentials", "smart"]
    user: str = ""
    password: str | None = Field(default=None, repr=False)
    """Of HTTP Basic (or `password_file`)."""
    token: str | None = Field(default=None, repr=False)
    token_file: Path | None = None
    """A bearer token in place of `token`, in a file that is read again when it changes."""
    client_id: str = ""
    client_secret: str | None = Field(default=None, repr=False)
    """(or `client_secret_file`)"""
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """How the secret is shown to the token endpoint (RFC 6749 2.3.1)."""
    token_url: HttpUrl | None = None
    """Token endpoint; empty with `smart`: what the SMART configuration of an EHR says."""
    scopes: list[str] = []
    """What is asked for; less than that is an error."""
    keys: list[Path] = []
    """Private keys: PEM, JWK or JWK Set files, or folders of them; the first key that may sign does."""
    key_password: str | None = Field(default=None, repr=False)
    """Of encrypted PEM keys (or `key_password_file`)."""
    jwks_url: HttpUrl | None = None
    """Where the system reaches our `/.well-known/jwks.json`; sent as `jku`."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        kind = data.get("kind")
        lacking = [
            key for key in NEEDED.get(kind if isinstance(kind, str) else "", ())
            if not (data.get(key) or data.get(f"{key}_file"))
        ]  # fmt: skip
        tokens = [key for key in ("token", "token_file") if data.get(key)]
        if lacking:
            return data | {"kind": Wrong(f"{kind} needs {' and '.join(lacking)}")}
        if kind == "bearer" and not tokens:
            return data | {"kind": Wrong("bearer needs token or token_file")}
        if len(tokens) == 2:
            return data | {"token": Wrong("both token and token_file are given")}
        return data


def plain_address(value: str) -> str:
    """Without a trailing slash. Raises `ValueError` for an address with a user in it."""
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or password, which logs and errors would show; use auth or token_file")
    return value.rstrip("/")


BaseAddress = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(plain_address)]


class HttpReceiver(Section):
    SECTION: ClassVar[str]
    """The list of the configuration in which it stands."""

    name: ReceiverName
    url: str
    """Base address, without a trailing slash."""
    timeout_seconds: Seconds = 30.0
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`): the short form of `auth` with the kind `bearer`."""
    auth: HttpAuth | None = None
    """How the system knows us."""
    tls: ClientTls | None = None
    proxy: str | None = Field(default=None, pattern=r"^http://\S+$", repr=False)
    """HTTP proxy, also towards https addresses (or `proxy_file`); may hold user and password."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = {key: data[key] for key in ("token", "token_file") if data.get(key)}
        if len(given) != 1:
            return data
        if data.get("auth"):
            key = next(iter(given))
            rest = {name: value for name, value in data.items() if name != key}
            return rest | {"token": Wrong(f"both {key} and auth are given; {key} is the short form of a bearer token")}
        if isinstance(next(iter(given.values())), str | Path):
            return data | {"auth": {"kind": "bearer", **given}}
        return data
