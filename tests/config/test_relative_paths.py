from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.tree import load

FILE = """
database: {url: "sqlite:///data/gateway.db"}
mappings: {overlay: overlay}
http: {token_file: token}
hl7:
  listeners:
    - tls: {certificate: pki/ours.pem, key: /etc/pki/ours.key}
ehrs:
  - {name: a, url: "http://127.0.0.1/fhir", auth: {kind: bearer, token_file: bearer}}
  - {name: b, url: "http://127.0.0.1/fhir", auth: {kind: smart, client_id: x, keys: [keys, /etc/keys], token_url: "http://x/t"}}
"""


def test_relative_paths_mean_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "gateway.yaml").write_text(FILE, encoding="utf-8")
    (folder / "token").write_text("a-token-of-24-characters\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    config = load(Path("etc/gateway.yaml"))
    assert config.database.url == f"sqlite:///{folder}/data/gateway.db"
    assert config.mappings.overlay == folder / "overlay"
    assert config.http.token == "a-token-of-24-characters"
    tls = config.hl7.listeners[0].tls
    assert tls is not None
    assert (tls.certificate, tls.key) == (folder / "pki/ours.pem", Path("/etc/pki/ours.key"))
    first, second = config.ehrs
    assert first.auth is not None
    assert second.auth is not None
    assert first.auth.token_file == folder / "bearer"
    assert second.auth.keys == [folder / "keys", Path("/etc/keys")]


def test_the_environment_means_the_folder_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gateway.yaml").write_text("mappings: {overlay: mine}\n", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_MAPPINGS__OVERLAY", "theirs")
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "sqlite:///here.db")
    config = load(tmp_path / "gateway.yaml")
    assert (config.mappings.overlay, config.database.url) == (Path("theirs"), "sqlite:///here.db")


@pytest.mark.parametrize("written", ["sqlite:////var/gateway.db", "postgresql://u@h/n"])
def test_other_addresses_stay(tmp_path: Path, written: str) -> None:
    (tmp_path / "gateway.yaml").write_text(f'database: {{url: "{written}"}}\n', encoding="utf-8")
    assert load(tmp_path / "gateway.yaml").database.url == written
