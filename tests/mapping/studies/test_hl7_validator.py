"""HL7's own instance validator finds no error in the resources of public studies (`make java-peers`)."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import get_args

import orjson
import pytest

from gateway.mapping.studies.patient import patient
from gateway.records.arrived_study import arrived_study
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Release, Shape
from tests.mapping.samples import SHIPPED
from tests.mapping.studies.public_studies import arrivals

FOLDER = Path(__file__).parents[2] / "peers" / "hl7validator"
OLD_CODES = "Unknown code"
"""R4's definitions hold DICOM's modalities of 2015: later ones are errors to the validator, and right all the same."""


def test_no_resource_of_a_public_study_has_an_error(tmp_path: Path) -> None:
    if not (FOLDER / "cp.txt").is_file() or shutil.which("java") is None:
        pytest.skip("HL7's validator is not built; run: make java-peers")
    asked, built = [], 0
    for number, (uid, instances) in enumerate(arrivals().items()):
        study = arrived_study(StudyInstanceUID(uid), instances, SHIPPED.studies.rules).study
        # Of a study without Patient ID the patient is that of its order.
        study.attributes.setdefault("PatientID", "P1")
        for release in get_args(Release):
            resource = SHIPPED.studies.build(study, shape=Shape(release))
            person = patient(study.attributes, resource["subject"]["identifier"])
            for kind, one in (("study", resource), ("patient", person)):
                path = tmp_path / f"{number}-{release}-{kind}.json"
                path.write_bytes(
                    orjson.dumps(one).replace(b'urn:oid:1.2.3"', b'urn:oid:1.2.3.4"')
                )  # fewer arcs are no OID
                asked.append(f"{release} {path}")
                built += 1
    assert built >= 80
    classes = f"target/classes:{(FOLDER / 'cp.txt').read_text().strip()}"
    done = subprocess.run(
        ["java", "-Xmx1g", "-cp", classes, "peer.Validate"], cwd=FOLDER, input="\n".join(asked) + "\n", text=True,
        capture_output=True, check=True, timeout=600,
    )  # fmt: skip
    lines = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("= ")]
    kinds = Counter(f"{release} {severity} {kind}" for release, severity, kind, *_ in lines)
    logging.getLogger(__name__).info("findings per kind: %s", kinds.most_common())
    errors = [line for line in lines if line[1] in ("ERROR", "FATAL", "EXCEPTION") and OLD_CODES not in line[-1]]
    assert errors == []
