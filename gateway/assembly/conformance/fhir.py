"""The FHIR conformance statement as text: what is written to each EHR, how, and what the facade serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.conformance.fhir_capability import VERSIONS, facade_base, facade_statement, ways_to
from gateway.assembly.conformance.fhir_elements import CAUSES, ELEMENTS, looked_for_at, written_to
from gateway.assembly.conformance.mapping_rows import how_of
from gateway.assembly.http_receivers import kind_of
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.mapping import STUDIES, Mappings
from gateway.mapping.studies.base import order_system_of, site_system, system_of
from gateway.mapping.studies.dialect import ELEMENTS as TYPES
from gateway.mapping.studies.dialect import element_of, release_of
from gateway.mapping.studies.imaging_study_r5 import name_in_r5
from gateway.operations.conformance.sections import Statement, StatementSection, StatementTable
from gateway.records.study import Release
from gateway.web.facade.parameters import NO_EFFECT, PARAMETERS, RESULT
from gateway.web.facade.query import DEFAULT, MOST, MOST_ALTERNATIVES, MOST_CRITERIA
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.standing import EXTENSION
from gateway.wire.tls import PROFILE


def statement(config: Config, mappings: Mappings) -> Statement:
    """The statement of a gateway with this configuration."""
    return Statement(
        (
            StatementSection("1", "FHIR conformance statement", _INTRODUCTION.format(site=config.site.name)),
            StatementSection("1.1", "EHRs", _EHRS, (_ehrs(config), _logins(config))),
            *_resources(config),
            StatementSection("1.2", "Ways of writing", _WRITING.format(extension=EXTENSION), (_ways(),)),
            StatementSection("1.3", "Elements", _ELEMENTS, tuple(_elements(config, mappings))),
            StatementSection("1.4", "Identifiers", _IDENTIFIERS, (_identifiers(config, mappings),)),
            StatementSection("1.5", "The facade: FHIR R4, read-only", _facade_text(config), tuple(_facade(config))),
        )
    )


# EHRs


def _ehrs(config: Config) -> StatementTable:
    columns = (
        "EHR", "Base address", "Release", "Patients", "Orders", "Series", "Instances", "Endpoints", "TLS",
        "Requests at once", "Tries",
    )  # fmt: skip
    rows = [
        (
            one.name, one.url, one.fhir_version, one.patient, one.orders, one.series, str(one.instances),
            "Y" if one.endpoints and config.site.wado_rs_url else "N",
            PROFILE if one.url.startswith("https") else "none",
            str(one.concurrency), f"after {one.retry.first_seconds:g} s, doubling to {one.retry.max_seconds:g} s",
        )
        for one in config.ehrs
    ]  # fmt: skip
    return StatementTable("EHRs", columns, rows or [("none", *["–"] * 10)])


def _logins(config: Config) -> StatementTable:
    rows = []
    for one in config.ehrs:
        auth = one.auth
        rows.append(
            (one.name, _LOGINS[kind_of(one)], auth.client_id or "–", " ".join(auth.scopes) or "–",
             auth.token_url or ("that of its SMART configuration" if kind_of(one) == "smart" else "–"),
             "Y" if one.tls is not None and one.tls.certificate is not None else "N")
            if auth is not None
            else (one.name, _LOGINS["none"], "–", "–", "–", "Y" if one.tls and one.tls.certificate else "N")
        )  # fmt: skip
    columns = ("EHR", "Login", "client_id", "Scopes", "Token endpoint", "Certificate of the client")
    return StatementTable("Login", columns, rows or [("none", *["–"] * 5)])


_LOGINS: Final = {
    "none": "none",
    "basic": "HTTP Basic",
    "bearer": "bearer token",
    "client_credentials": "OAuth 2.0 client credentials (RFC 6749 4.4)",
    "smart": "SMART Backend Services: client credentials with a signed assertion (RFC 7523), keys at "
    "`/.well-known/jwks.json`",
}


def _resources(config: Config) -> Iterator[StatementSection]:
    columns = ("Resource", "Written for", "Interactions", "Created by")
    for number, ehr in enumerate(config.ehrs, 1):
        rows = [
            (kind, CAUSES[kind], _INTERACTIONS + ("" if kind == "Patient" else ", update, delete"), _ways_of(ehr, kind))
            for kind in written_to(ehr)
        ]  # fmt: skip
        if ehr.audit_events:
            rows.append(("AuditEvent", "each event of the audit trail (IHE BALP)", "create", "`POST AuditEvent`"))
        rows += [(kind, "not written: found for links", "search by identifier", "–") for kind in looked_for_at(ehr)]
        text = _RESOURCES.format(release=VERSIONS[ehr.fhir_version], deleted=_DELETED[ehr.when_deleted],
                                 duplicates=_DUPLICATES[ehr.duplicates])  # fmt: skip
        yield StatementSection(
            f"1.1.{number}", f"Resources at {ehr.name}", text, (StatementTable("Resources", columns, rows),)
        )


_INTERACTIONS: Final = "read, search by identifier, create"


def _ways_of(ehr: Ehr, kind: str) -> str:
    ways = ways_to(ehr, kind)
    return ways[0].value if len(ways) == 1 else f"the first that the EHR announces of {', '.join(ways)}"


_DELETED: Final = {
    "stop": "its delivery waits for a person",
    "recreate": "it is made anew",
}
_DUPLICATES: Final = {
    "report": "the delivery waits for a person",
    "remove": "all but the oldest are deleted",
}


def _ways() -> StatementTable:
    rows = [(way.value, _WAYS[way]) for way in Way]
    return StatementTable("How a resource is brought to a server that does not hold it", ("Way", "Request"), rows)


_WAYS: Final = {
    Way.CLIENT_ID: "`PUT [type]/[id]`, the id derived from the identifier (update as create), with If-None-Match: *",
    Way.CONDITIONAL_UPDATE: "`PUT [type]?identifier=system|value`",
    Way.CONDITIONAL_CREATE: "`POST [type]` with If-None-Exist: identifier=system|value",
    Way.TRANSACTION: "a transaction Bundle whose entry is a conditional update",
    Way.SEARCH: "search by identifier, then `POST [type]`, then the search again",
}


# Elements and identifiers


def _elements(config: Config, mappings: Mappings) -> Iterator[StatementTable]:
    releases: list[Release] = sorted({ehr.fhir_version for ehr in config.ehrs}) or ["R4", "R5"]
    file = mappings.files[STUDIES]
    columns = ("Element", "Type", "DICOM attributes, the first with a value", "How")
    for release in releases:
        for level, rows in file.rows.items():
            targets = {row.target for row in rows}
            cells = [
                (_named(row.target, level, release), TYPES[level][element_of(row.target)].replace("*", " (list)"),
                 ", ".join(row.sources) or "–", how_of(row))
                for row in rows
                if release_of(row.target) == release
                or (not release_of(row.target) and f"{row.target}@{release}" not in targets)
            ]  # fmt: skip
            cells = [cell for cell in cells if cell[0]]
            yield StatementTable(f"ImagingStudy{_LEVELS[level]}, {release}", columns, cells)
    kinds = {kind for ehr in config.ehrs for kind in written_to(ehr)} - {"ImagingStudy"} or set(ELEMENTS)
    more = [
        (kind, release, ", ".join(ELEMENTS[kind][release]))
        for kind in ELEMENTS
        if kind in kinds
        for release in releases
    ]
    if more:
        yield StatementTable("Other resources", ("Resource", "Release", "Elements"), more)


_LEVELS: Final = {"study": "", "series": ".series", "instance": ".series.instance"}


def _named(target: str, level: str, release: Release) -> str:
    element, label = element_of(target), target.partition("[")[2].partition("]")[0]
    name = name_in_r5(element, level) if release == "R5" else element
    return f"{name} ({label})" if label and name else name


def _identifiers(config: Config, mappings: Mappings) -> StatementTable:
    settings, site = mappings.studies.settings, config.site
    rows = [("Study Instance UID", "all", "urn:dicom:uid, value urn:oid:...")]
    rows += [(_PATIENTS, one, system_of(one, settings)) for one in site.identifier_systems]
    rows.append((_PATIENTS, "another", "its universal id as a URI, else one derived from its name (urn:uuid)"))
    rows.append(
        (
            _PATIENTS,
            "none stated",
            system_of(site.patient_id_issuer, settings) if site.patient_id_issuer else site_system(settings),
        )
    )
    rows += [(_ORDERS, one, order_system_of(one, settings)) for one in site.order_systems]
    rows.append((_ORDERS, "another", "one derived from its name (urn:uuid)"))
    rows.append(("Study ID", "all", site.study_id_system or "not sent"))
    return StatementTable("Systems", ("Identifier", "Assigning authority", "Identifier.system"), rows)


_PATIENTS: Final = "Patient ID"
_ORDERS: Final = "accession, placer and filler number"


# The facade


def _facade(config: Config) -> Iterator[StatementTable]:
    [rest] = facade_statement(config, now)["rest"]
    rows = [
        (
            one["type"],
            ", ".join(code["code"] for code in one["interaction"]),
            ", ".join(one.get("searchInclude", ())) or "–",
        )
        for one in rest["resource"]
    ]
    yield StatementTable("Resources", ("Resource", "Interactions", "_include"), rows)
    yield StatementTable(
        "Search parameters of ImagingStudy", ("Parameter", "Type", "Meaning"),
        [(f"`{name}`", one.kind, one.documentation) for name, one in PARAMETERS.items()],
    )  # fmt: skip
    effects = [(f"`{name}`", "changes the answer") for name in RESULT]
    effects += [(f"`{name}`", "taken, without an effect here") for name in NO_EFFECT]
    yield StatementTable("Parameters of results", ("Parameter", "Effect"), effects)


def _facade_text(config: Config) -> str:
    served = f"Served at `{facade_base(config)}`" if config.facade.enabled else "Not served here (`facade.enabled`)"
    login = "a bearer token is asked for" if config.facade.token or config.http.token else "no login is asked for"
    return _FACADE.format(
        served=served, login=login, default=DEFAULT, most=MOST, criteria=MOST_CRITERIA, alternatives=MOST_ALTERNATIVES
    )


_INTRODUCTION: Final = """\
What the gateway of {site} writes to EHRs and serves in FHIR, made by `gateway conformance fhir` from the mapping
files, the tables of the program and the configuration in force; `docs/conformance-fhir.md` is that of the defaults.
The same as CapabilityStatements: `gateway conformance fhir --format fhir`."""
_EHRS: Final = """\
`patient` and `orders`: identifier (a logical reference), find (a link to what the EHR holds), create or write (the
gateway makes it there)."""
_RESOURCES: Final = """\
FHIR {release}, JSON. A resource is updated under its id, with If-Match on the version that was read, and only where
it still has our identifier. Of a resource of ours that was deleted there: {deleted}. Of one that another writer made
a second time: {duplicates}."""
_WRITING: Final = """\
Before a try that may have reached the server is repeated, the server is asked what it holds. A resource carries the
revision of its write in an extension ({extension}); a write gives way to a later one that stands there."""
_ELEMENTS: Final = """\
Elements are left out where nothing is known. Rows by release: a site's overlay may add or take away."""
_IDENTIFIERS: Final = """\
Each resource is known by one identifier: a study and a performed step by its UID, an order by its accession number
(its Study Instance UID where there is none), a Task by a number of the gateway's own, a Patient by the Patient ID."""
_FACADE: Final = """\
{served}; {login}; `/metadata` is open. JSON only. A page has {default} resources, {most} at most (`_count`); a search
has at most {criteria} parameters of {alternatives} alternatives each. A parameter that is not served is refused
(400), but for `Prefer: handling=lenient`. Reading by id answers ETag and Last-Modified and takes If-None-Match and
If-Modified-Since."""
