from __future__ import annotations

from pathlib import Path

from gateway.assembly.open_doors import open_doors
from gateway.config.tree import Config, load

OPEN = """
http: {host: 0.0.0.0, token: short}
dicom: {host: 0.0.0.0}
hl7: {listeners: [{host: 0.0.0.0}]}
ehrs: [{name: main, url: "http://ehr.example.org/fhir"}]
"""
CLOSED = """
http: {host: 0.0.0.0, token: a-token-of-24-characters, behind_proxy: [10.0.0.1]}
dicom: {host: 0.0.0.0, peers: [{ae_title: CT1, allowed_addresses: [10.0.0.7]}]}
hl7: {listeners: [{host: 127.0.0.1}]}
ehrs: [{name: main, url: "https://ehr.example.org/fhir"}]
"""


def _notes(tmp_path: Path, text: str, mode: int) -> dict[str, list[str]]:
    file = tmp_path / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    notes: dict[str, list[str]] = {}
    for note in open_doors(load(file), file, 0):
        assert note.ok
        assert note.warning
        notes.setdefault(note.what, []).append(note.detail)
    return notes


def test_what_is_open_is_named(tmp_path: Path) -> None:
    notes = _notes(tmp_path, OPEN, 0o644)
    assert notes == {
        "hl7.listeners ris": [
            "takes messages on 0.0.0.0 without TLS: anybody on the way can read them",
            "takes messages on 0.0.0.0 from any address; name the senders in allowed_addresses",
        ],
        "http": ["passwords and patients' data pass 0.0.0.0 unencrypted; set tls, or name the proxy in behind_proxy"],
        "dicom.peers": ["none: every AE title is served, from any address"],
        "http.token": ["has 5 characters; below 20 it can be tried out"],
        "ehrs main": ["ehr.example.org is reached without TLS"],
        str(tmp_path / "gateway.yaml"): [
            "may hold secrets, and every user of this machine can read it (mode 644): chmod o-r"
        ],
    }


def test_what_is_closed_is_not(tmp_path: Path) -> None:
    assert _notes(tmp_path, CLOSED, 0o640) == {}
    assert list(open_doors(Config(), None, 0)) == []


def test_a_title_without_address_is_named_among_those_with(tmp_path: Path) -> None:
    text = CLOSED.replace("10.0.0.7]}", "10.0.0.7]}, {ae_title: MR1}")
    assert _notes(tmp_path, text, 0o640) == {
        "dicom.peers": ["served from any address: MR1; name theirs in allowed_addresses"]
    }
