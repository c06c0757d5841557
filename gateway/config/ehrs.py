"""Section `ehrs`: address, login and manners of each EHR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gateway.config.fields import HttpUrl, OffOrWrite, Seconds, Section, Wrong
from gateway.config.receiver import ClientTls, Retry

NEEDED: dict[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("user", "password"),
    "bearer": (),
    "client_credentials": ("client_id", "client_secret", "token_url"),
    "smart": ("client_id", "keys"),
}
"""Kind of authentication -> the keys it cannot do without."""


class EhrAuth(Section):
    """How an EHR knows us."""

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
    """Token endpoint; empty with `smart`: what the EHR's SMART configuration says."""
    scopes: list[str] = []
    """What is asked for; less than that is an error."""
    keys: list[Path] = []
    """Private keys: PEM, JWK or JWK Set files, or folders of them; the first key that may sign does."""
    key_password: str | None = Field(default=None, repr=False)
    """Of encrypted PEM keys (or `key_password_file`)."""
    jwks_url: HttpUrl | None = None
    """Where the EHR reaches our `/.well-known/jwks.json`; sent as `jku`."""

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


class Ehr(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    """FHIR base address, without a trailing slash."""
    fhir_version: Literal["R4", "R5"] = "R4"
    resource: Literal["ImagingStudy", "DocumentReference"] = "ImagingStudy"
    """The resource type for a study; a DocumentReference holds a link to `site.viewer_url`."""
    timeout_seconds: Seconds = 30.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    max_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Of this gateway, evenly spread; none: as fast as the EHR answers."""
    gzip: Literal["auto", "always", "never"] = "auto"
    """Whether bodies are sent compressed; auto: once an answer of the EHR has announced gzip."""
    series: Literal["all", "none"] = "all"
    """Whether ImagingStudy.series is listed; the counts are always sent."""
    instances: Literal["all", "none"] | Annotated[int, Field(ge=1)] = "all"
    """Whether ImagingStudy.series.instance is listed, or only of studies with no more than so many."""
    endpoints: bool = True
    """Say in each study where its images are retrieved, if `site.wado_rs_url` is set."""
    patient: Literal["identifier", "find", "create"] = "identifier"
    """How a study names its patient: by identifier alone, by a link to the EHR's Patient that has it, or by a link to
    one that is created where there is none."""
    orders: Literal["identifier", "find", "write"] = "identifier"
    """How a study names its orders: by identifier alone, or by links to the EHR's ServiceRequests that have them;
    write: which the gateway makes of the orders of the RIS, and keeps up to date."""
    tasks: OffOrWrite = "off"
    """write: the gateway makes a Task of each order of the RIS, whose status follows the examination."""
    procedures: OffOrWrite = "off"
    """write: the gateway makes a Procedure of each performed step (MPPS) that is completed."""
    audit_events: bool = False
    """Create an AuditEvent (R4) there for each event of the audit trail."""
    retry: Retry = Retry()
    write: Literal["auto", "client_id", "conditional_update", "conditional_create", "transaction", "search"] = "auto"
    """How a resource is brought to the EHR so that it cannot be there twice; auto: the safest way it announces."""
    duplicates: Literal["report", "remove"] = "report"
    """What to do with a study that another writer made a second time: park the delivery, or delete all but the oldest
    there."""
    when_deleted: Literal["stop", "recreate"] = "stop"
    """What to do when a resource of ours was deleted in the EHR and its study changes: park the delivery, or make it
    anew."""
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`): the short form of `auth` with the kind `bearer`."""
    auth: EhrAuth | None = None
    """How the EHR knows us."""
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

    @field_validator("audit_events")
    @classmethod
    def _is_of_r4(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("fhir_version") == "R5":
            raise ValueError("is done for EHRs of release R4 alone")
        return value

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if "@" in value.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("holds a user or password, which logs and errors would show; use auth or token_file")
        return value.rstrip("/")
