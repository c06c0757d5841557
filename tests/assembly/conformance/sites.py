"""Configurations whose statements are looked at: the defaults, and a site with every key and several of each kind."""

from __future__ import annotations

from typing import Any, Final

from gateway.assembly.conformance.statements import STATEMENTS
from gateway.assembly.mappings import load_mappings
from gateway.config.tree import Config
from gateway.operations.conformance.sections import Statement, StatementName, as_data
from tests.config.test_config import every_key


def _big() -> Config:
    tree = every_key()
    del tree["mappings"]
    tree["hl7"]["listeners"].append({"name": "plain", "port": 2590})
    tree["hl7"]["destinations"] += [
        {"name": f"statuses-{kind[:3].lower()}", "port": 2591, "status": kind}
        for kind in ("ORM^O01", "OMG^O19", "ORU^R01", "SIU^S14")
    ]
    tree["dicom"]["allowed_calling_aes"] = ["CT1", "MR9"]
    tree["dicom"]["peers"].append({"ae_title": "US1", "services": ["worklist"]})
    tree["dicom"]["destinations"].append({"name": "archive", "ae_title": "ARCHIVE", "port": 104, "mpps": True})
    tree["studies"]["sources"].append({"name": "old-pacs", "kind": "dicom", "ae_title": "PACS", "port": 104})
    tree["studies"]["sources"].append({"name": "web-pacs", "kind": "dicomweb", "url": "https://pacs.test/dicom-web"})
    tree["ehrs"] += [
        {"name": "plain", "url": "http://plain.test/fhir"},
        {"name": "links", "url": "https://links.test/fhir", "patient": "find", "orders": "write", "token": "hush"},
        {"name": "both", "url": "https://both.test/fhir", "write": "transaction",
         "auth": {"kind": "basic", "user": "u", "password": "hush"}},
    ]  # fmt: skip
    return Config(**tree)


BIG: Final = _big()
SITES: Final = {"defaults": Config(), "big": BIG}


_MADE: Final[dict[tuple[StatementName, int], Statement]] = {}


def made(name: StatementName, config: Config) -> Statement:
    """The statement of one of the sites, made once."""
    key = name, id(config)
    if key not in _MADE:
        _MADE[key] = STATEMENTS[name](config, load_mappings(config))
    return _MADE[key]


def sections(name: StatementName, config: Config) -> dict[str, dict[str, Any]]:
    """The sections by their numbers."""
    return {section["number"]: section for section in as_data(made(name, config))["sections"]}


def rows(section: dict[str, Any], title: str = "") -> list[dict[str, str]]:
    """The rows of all tables, or of those whose title begins so."""
    return [row for table in section["tables"] if table["title"].startswith(title) for row in table["rows"]]
