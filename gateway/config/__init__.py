"""The configuration: one frozen tree of settings, read from one YAML file and the environment.

Every key can be overridden from the environment: `GATEWAY_DICOM__PORT=11112` sets `dicom.port`; lists are given as
JSON (`GATEWAY_EHRS='[{"name": "ehr", "url": "http://..."}]'`). Secrets may be given as a file: `token_file` fills
`token`. Everything wrong with a file is reported at once, each fault with its line.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.config.yaml_file import Source, fault, not_json, read
from gateway.errors import ConfigError
from gateway.wire.charsets import is_known

Port = Annotated[int, Field(ge=0, le=65535, description="0 lets the system choose a free port")]
AETitle = Annotated[str, Field(pattern=r"^[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")]
Seconds = Annotated[float, Field(gt=0)]
StepStateName = Annotated[
    str, Field(pattern="^(SCHEDULED|ARRIVED|READY|HELD|STARTED|COMPLETED|DISCONTINUED|CANCELED)$")
]


def _known_charset(value: str) -> str:
    if value and not is_known(value):
        raise ValueError(
            f"unknown character set {value!r}; use a name of HL7 table 0211 such as 8859/1 or windows-1252"
        )
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is neither an address nor a network such as 10.1.0.0/16") from None
    return value


Charset = Annotated[str, AfterValidator(_known_charset)]
Network = Annotated[str, AfterValidator(_network)]
MessageType = Annotated[str, Field(pattern=r"^[A-Z]{3}(\^[A-Z0-9]{3})?$")]


_URI = re.compile(r"^(urn:[a-z0-9][a-z0-9-]+:|https?://)\S+$")


class _Wrong:
    """Stands for a value that was found wrong before its key is looked at, so that the fault is told at its key and
    the other faults of the section are told as well."""

    def __init__(self, why: str) -> None:
        self.why = why


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        """`password_file: /run/secrets/x` fills `password` with the file's first line."""
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        for key in [k for k in data if isinstance(k, str) and k.endswith("_file")]:
            target = key.removesuffix("_file")
            if target in cls.model_fields and key not in cls.model_fields:
                path = filled.pop(key)
                if path is not None:
                    filled[target] = _Wrong(f"both {target} and {key} are given") if data.get(target) else _secret(path)
        return filled

    @field_validator("*", mode="before")
    @classmethod
    def _tell_what_is_wrong(cls, value: Any) -> Any:
        if isinstance(value, _Wrong):
            raise ValueError(value.why)
        return value


def _secret(path: Any) -> str | _Wrong:
    try:
        lines = Path(str(path)).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return _Wrong(f"cannot read a secret from {path} ({error.strerror})")
    except UnicodeDecodeError:
        return _Wrong(f"cannot read a secret from {path} (not UTF-8)")
    first = lines[0].strip() if lines else ""
    return first or _Wrong(f"cannot read a secret from {path} (its first line is empty)")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mark_doubled(entries: Any) -> Any:
    """Marks the name of each entry that an earlier one has."""
    if not isinstance(entries, list):
        return entries
    seen: set[Any] = set()
    marked = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else getattr(entry, "name", None)
        if isinstance(name, str) and name in seen:
            fault = f"the name {name} stands twice"
            if not isinstance(entry, dict):
                raise ValueError(fault)
            entry = entry | {"name": _Wrong(fault)}
        elif isinstance(name, str):
            seen.add(name)
        marked.append(entry)
    return marked


class Site(Section):
    name: str = "Imaging site"
    timezone: str = "UTC"
    """The IANA zone in which HL7 and DICOM times without an offset are meant."""
    uid_root: str = "2.25"
    """Root for the gateway's own implementation class UID; identifiers it derives are UUID-based below 2.25."""
    patient_id_issuer: str = ""
    """Assigning authority of a Patient ID that comes without one."""
    order_systems: dict[str, str] = {}
    """Assigning authority or sending facility -> FHIR system of its accession, placer and filler numbers."""
    identifier_systems: dict[str, str] = {}
    """Assigning authority -> FHIR identifier system (a URI)."""
    study_id_system: str = ""
    """FHIR identifier system of Study IDs (0020,0010); empty: they are not sent."""
    wado_rs_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Public WADO-RS base address, without /studies; empty: studies are sent without an Endpoint."""

    viewer_url: str = ""
    """Address of a viewer of a study, with {study_uid} where the Study Instance UID goes."""

    @field_validator("viewer_url")
    @classmethod
    def _viewer_names_the_study(cls, value: str) -> str:
        if value and not (re.match(r"https?://\S+$", value) and "{study_uid}" in value):
            raise ValueError(f"{value!r} is no address of a viewer: https://... with {{study_uid}} in it")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone {value!r}; use an IANA name such as Europe/Berlin")
        return value

    @field_validator("uid_root")
    @classmethod
    def _uid_shape(cls, value: str) -> str:
        if not re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", value) or len(value) > 32:
            raise ValueError("not a UID root of at most 32 characters, such as 1.2.840.99999")
        return value

    @field_validator("identifier_systems", "order_systems")
    @classmethod
    def _systems_are_uris(cls, value: dict[str, str]) -> dict[str, str]:
        for authority, system in value.items():
            if not _URI.match(system):
                raise ValueError(f"{authority}: {system!r} is not a URI (urn:oid:..., urn:uuid:..., http://...)")
        return value

    @field_validator("study_id_system")
    @classmethod
    def _system_is_a_uri(cls, value: str) -> str:
        if value and not _URI.match(value):
            raise ValueError(f"{value!r} is not a URI (urn:oid:..., urn:uuid:..., http://...)")
        return value

    @field_validator("wado_rs_url")
    @classmethod
    def _base_only(cls, value: str) -> str:
        return value.rstrip("/").removesuffix("/studies")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Database(Section):
    url: str = Field(default="sqlite:///gateway.db", repr=False)
    """Where everything is kept (or `url_file`); holds a password, so nothing prints it."""

    @field_validator("url")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        try:
            make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("is not an address such as postgresql://USER:PASSWORD@HOST:5432/NAME") from None
        return value


class SenderRules(Section):
    """How messages are read and answered."""

    charset: Charset = ""
    """Character set (HL7 table 0211) of messages whose MSH-18 is empty; empty means UTF-8, then Windows-1252."""
    override_charset: Charset = ""
    """Character set of all messages, for a sender whose MSH-18 is not true."""
    undecodable: Literal["reject", "replace"] = "reject"
    """What to do with bytes that the character set does not have: answer AE, or read U+FFFD in their place."""
    message_types: list[MessageType] = []
    """Types that are taken, such as ORM or ADT^A40; empty: all that the gateway serves."""
    unserved_types: Literal["reject", "store"] = "reject"
    """What to do with other types: answer AR 200 or 201, or keep the message and answer AA."""
    conformance: Literal["off", "warn", "reject"] = "warn"
    """Check the structure by the standard: not, beside the journey with what is found kept, or before an AR 100."""
    conformance_version: Literal[
        "", "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"
    ] = ""
    """HL7 version to check by; empty: the one that MSH-12 states."""
    acknowledge: Literal["original", "enhanced"] = "original"
    """One application acknowledgement, or what MSH-15 and MSH-16 ask for (CA, CE, CR, then AA, AE, AR)."""


class SenderSource(SenderRules):
    """A sending application and facility. What it does not say is as its listener says."""

    application: str = ""
    """MSH-3.1; empty: any."""
    facility: str = ""
    """MSH-4.1; empty: any."""


class Tls(Section):
    certificate: Path
    """PEM file with our certificate and those that lead to its root."""
    key: Path
    """PEM file with its private key."""
    key_password: str | None = Field(default=None, repr=False)
    """Password of the private key (or `key_password_file`)."""
    client_ca: Path | None = None
    """PEM file with the authorities whose clients are let in; empty: clients need no certificate."""


class Listener(SenderRules):
    """One MLLP port on which a RIS sends."""

    name: str = "ris"
    host: str = "127.0.0.1"
    port: Port = 2575
    tls: Tls | None = None
    allowed_addresses: list[Network] = []
    """Addresses or networks (10.1.0.0/16) of the senders that are let in; empty: any."""
    allowed_certificates: list[str] = []
    """Common names or DNS names of the client certificates that are let in; empty: any that `client_ca` issued."""
    mllp_release: Literal[1, 2] = 1
    """Release 2 confirms each message (0x06) once it is on disk, before its acknowledgement."""
    sources: list[SenderSource] = []
    """The senders that are taken, the first that fits; empty: any."""
    max_message_bytes: Annotated[int, Field(ge=1024)] = 10 * 1024 * 1024
    idle_seconds: Seconds = 3600.0
    """How long a connection may be silent between messages."""
    message_seconds: Seconds = 60.0
    """How long a message may take from its first byte to its last."""
    max_connections: Annotated[int, Field(ge=1)] = 512
    on_failure: Literal["answer", "close"] = "answer"
    """When the database is away: answer AR 207, or close without an answer so that the sender keeps its message."""
    station_aes: list[AETitle] = []
    """Scheduled Station AE Titles of steps for which the RIS names none; empty offers them to every station."""

    @field_validator("sources", mode="before")
    @classmethod
    def _none_is_listed(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _certificates_need_an_authority(self) -> Self:
        if self.allowed_certificates and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("allowed_certificates needs tls.client_ca: without it no client shows a certificate")
        return self


class Hl7(Section):
    listeners: list[Listener] = [Listener()]
    unknown_order_control: Literal["reject", "ignore"] = "reject"
    unknown_order: Literal["wait", "reject"] = "wait"
    """What to do with a hold or release of an order that has not come: keep it for when it does, or answer AE 204."""
    patient_data: Literal["fill", "newest"] = "fill"
    """Whether orders only fill what ADT has not said of a patient, or the newest message counts."""

    @field_validator("listeners", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return _mark_doubled(value)


class DicomPeer(Section):
    """A calling AE title; what is empty allows all."""

    ae_title: AETitle
    allowed_addresses: list[Network] = []
    allowed_certificates: list[str] = []
    """Common or DNS names; the association must then come over TLS with a certificate that `tls.client_ca` signed."""
    services: list[Literal["verification", "worklist", "storage"]] = ["verification", "worklist", "storage"]
    max_associations: Annotated[int, Field(ge=1)] | None = None
    user: str = ""
    """User Identity that the association must show, with `passcode` (or `passcode_file`)."""
    passcode: str = Field(default="", repr=False)


class DicomTls(Tls):
    port: Port = 2762
    only: bool = False
    """Do not listen on `dicom.port`."""


class Dicom(Section):
    ae_title: AETitle = "GATEWAY"
    host: str = "127.0.0.1"
    port: Port = 11112
    check_called_ae: bool = False
    """Refuse associations that call another AE title than ours."""
    allowed_calling_aes: list[AETitle] = []
    """Empty: any calling AE title is served."""
    peers: list[DicomPeer] = []
    """What single calling AE titles may do, and from where; a title listed here is served."""
    tls: DicomTls | None = None
    """One more port, on which associations are made over TLS."""
    max_associations: Annotated[int, Field(ge=1)] = 100
    idle_seconds: Seconds = 600.0
    """An association without traffic for this long is aborted."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1048576)] = 131072
    """The longest P-DATA-TF that peers are told to send."""
    max_object_bytes: Annotated[int, Field(ge=1048576)] = 4294967296
    """A longer data set is read and refused with A700."""
    max_worklist_matches: Annotated[int, Field(ge=1)] = 1000
    """A query that matches more gets these and then A700 (out of resources)."""
    pn_implicit_wildcard: bool = False
    """Answer the name key SMITH as if it were SMITH*."""
    hidden_states: list[StepStateName] = ["CANCELED", "DISCONTINUED", "COMPLETED", "HELD"]
    started_grace_seconds: Annotated[float, Field(ge=0)] = 0.0
    """Where STARTED is hidden: how long a step is shown all the same after it has started."""
    warn_of_unknown_keys: bool = False
    """Answer a query for attributes that no item holds with FF01 instead of FF00."""

    @field_validator("peers", mode="before")
    @classmethod
    def _none_is_listed(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _certificates_can_be_asked_for(self) -> Self:
        asking = next((one.ae_title for one in self.peers if one.allowed_certificates), None)
        if asking and (self.tls is None or self.tls.client_ca is None):
            raise ValueError(f"peer {asking} is to show a certificate: set dicom.tls with client_ca")
        return self


class Studies(Section):
    quiet_seconds: Annotated[float, Field(ge=0)] = 30.0
    """A study settles when no instance has come for this long."""
    storage: Literal["headers"] = "headers"


class Retry(Section):
    first_seconds: Seconds = 2.0
    max_seconds: Seconds = 600.0
    """Back-off doubles from the first pause to this one."""


NEEDED: dict[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("user", "password"),
    "bearer": (),
    "client_credentials": ("client_id", "client_secret", "token_url"),
    "smart": ("client_id", "keys"),
}
"""Kind of authentication -> the keys it cannot do without."""
HttpUrl = Annotated[str, Field(pattern=r"^https?://\S+$")]


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
            return data | {"kind": _Wrong(f"{kind} needs {' and '.join(lacking)}")}
        if kind == "bearer" and not tokens:
            return data | {"kind": _Wrong("bearer needs token or token_file")}
        if len(tokens) == 2:
            return data | {"token": _Wrong("both token and token_file are given")}
        return data


class EhrTls(Section):
    """TLS towards an EHR."""

    ca: Path | None = None
    """PEM file with the authorities that may have signed the EHR's certificate; empty: the system's."""
    certificate: Path | None = None
    """PEM file with our certificate, for an EHR that asks for one."""
    key: Path | None = None
    """PEM file with its private key; empty: it stands in `certificate`."""
    key_password: str | None = Field(default=None, repr=False)
    """Password of the private key (or `key_password_file`)."""


class Ehr(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    """FHIR base address, without a trailing slash."""
    fhir_version: Literal["R4", "R5"] = "R4"
    resource: Literal["ImagingStudy", "DocumentReference"] = "ImagingStudy"
    """As what it is told of a study; a DocumentReference holds a link to `site.viewer_url`."""
    timeout_seconds: Seconds = 30.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    max_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Of this gateway, evenly spread; none: as fast as the EHR answers."""
    gzip: Literal["auto", "always", "never"] = "auto"
    """Whether bodies are sent compressed; auto: once the EHR has said in an answer that it takes them so."""
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
    tls: EhrTls | None = None
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
            return rest | {"token": _Wrong(f"both {key} and auth are given; {key} is the short form of a bearer token")}
        if isinstance(next(iter(given.values())), str | Path):
            return data | {"auth": {"kind": "bearer", **given}}
        return data

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if "@" in value.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("holds a user or password, which logs and errors would show; use auth or token_file")
        return value.rstrip("/")


class Http(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    token: str | None = Field(default=None, repr=False)
    """Bearer token (or `token_file`) asked of every caller of /api and /metrics."""

    @model_validator(mode="before")
    @classmethod
    def _no_open_door(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        host = data.get("host", "127.0.0.1")
        if isinstance(host, str) and not _is_loopback(host) and not (data.get("token") or data.get("token_file")):
            why = f"{host!r} is not a loopback address: set http.token or http.token_file, or listen on 127.0.0.1"
            return data | {"host": _Wrong(why)}
        return data


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


class Mappings(Section):
    overlay: Path | None = None
    """Directory of a site's own mapping files; each of their rows replaces one of ours."""


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    phi: bool = False
    """Write names and identifiers of patients into the log. Off unless someone is looking for a fault."""


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    site: Site = Site()
    database: Database = Database()
    hl7: Hl7 = Hl7()
    dicom: Dicom = Dicom()
    studies: Studies = Studies()
    ehrs: list[Ehr] = []
    http: Http = Http()
    facade: Facade = Facade()
    mappings: Mappings = Mappings()
    log: Log = Log()

    @field_validator("ehrs", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return _mark_doubled(value)

    @field_validator("ehrs")
    @classmethod
    def _a_viewer_is_known(cls, value: list[Ehr], info: ValidationInfo) -> list[Ehr]:
        site = info.data.get("site")
        for ehr in value if site is not None and not site.viewer_url else ():
            if ehr.resource == "DocumentReference":
                raise ValueError(f"{ehr.name}: a DocumentReference is a link to a viewer; set site.viewer_url")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load(path: Path | None = None) -> Config:
    """Read `path` (None: built-in defaults) and the environment.

    Raises `ConfigError` with every fault found, each as `file:line: key: what is wrong`.
    """
    faults = _unknown_environment(os.environ)
    source = read(path) if path is not None else Source("(defaults)")
    faults += source.faults
    config: Config | None = None
    try:
        config = Config(**_without_overridden(source.data, "GATEWAY_"))
    except ValidationError as error:
        faults += [fault(Config, source, one) for one in error.errors()]
    except SettingsError as error:
        faults.append(not_json(error))
    if config is None or faults:
        raise ConfigError(faults)
    return config


def _without_overridden(data: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The file without secrets that the environment gives in the other form: `token` against `token_file`."""
    given = {key.upper() for key in os.environ}
    kept = {}
    for key, value in data.items():
        other = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
        if f"{prefix}{other}".upper() not in given:
            kept[key] = _without_overridden(value, f"{prefix}{key}__") if _is_section(value) else value
    return kept


def _is_section(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _unknown_environment(environ: Mapping[str, str]) -> list[str]:
    sections = {key.upper() for key in Config.model_fields}
    return [
        f"environment {key}: no such key; the sections are {', '.join(sorted(Config.model_fields))}"
        for key in sorted(environ)
        if key.startswith("GATEWAY_") and key.removeprefix("GATEWAY_").split("__")[0] not in sections
    ]
