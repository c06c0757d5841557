"""`exclude` and `include`, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

from pydicom.uid import UID

from tests.cli.test_commands import configure
from tests.commands import gateway, served
from tests.journey.test_study_arrival import sample
from tests.peers.dcmtk import storescu


async def test_an_instance_is_excluded_and_comes_back(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    first, second = sample(), sample()
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.2")
    files = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    for file, dataset in zip(files, (first, second), strict=True):
        dataset.save_as(file, enforce_file_format=True)
    async with served(tmp_path):
        for file in files:
            assert (await storescu(ports["dicom"], file)).returncode == 0
    uid = str(second.SOPInstanceUID)
    done = await gateway("exclude", uid, "--note", "another patient", folder=tmp_path)
    study = f"study {first.StudyInstanceUID}"
    assert (done.returncode, done.stdout) == (
        0, f"instance {uid} is excluded now; 1 instances of {study} count\n",
    ), done.stderr  # fmt: skip
    again = await gateway("exclude", uid, "--note", "another patient", "--json", folder=tmp_path)
    assert json.loads(again.stdout)["changed"] is False
    done = await gateway("include", uid, folder=tmp_path)
    assert done.stdout == f"instance {uid} counts now; 2 instances of {study} count\n"
    wrong = await gateway("exclude", "1.2.3", "--note", "x", folder=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (1, "1.2.3: no series and no instance with this UID has arrived\n")
