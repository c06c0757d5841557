from __future__ import annotations

from gateway.web.facade.capability import statement
from tests.peers.fhir_validators import search_parameters


def test_each_search_parameter_is_named_as_r4_defines_it() -> None:
    """A name that R4 shares among resources has a definition of its own: `clinical-identifier`."""
    defined = search_parameters("ImagingStudy")
    [study, _] = statement("https://gateway.test/fhir", "1", "2026-01-05T09:00:00Z")["rest"][0]["resource"]
    named = {one["name"]: (one["definition"], one["type"]) for one in study["searchParam"]}
    assert named == {name: defined[name] for name in named}
    assert all(defined[name.removeprefix("ImagingStudy:")][1] == "reference" for name in study["searchInclude"])
