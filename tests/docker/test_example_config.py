"""`gateway.example.yaml`, which becomes a site's first configuration."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from gateway.config.ehrs import Ehr
from gateway.config.hl7 import Listener
from gateway.config.http_receiver import HttpAuth
from gateway.config.tree import Config, load
from tests.commands import gateway
from tests.peers.openssl import Authority

EXAMPLE = Path(__file__).parents[2] / "gateway.example.yaml"
COMMENTED_KEY = re.compile(r"^(\s*)# (\s*(?:- )?[a-z_]+:(?: .*)?)$", re.MULTILINE)
"""A key that is commented out, as opposed to a sentence."""


def uncommented(folder: Path) -> str:
    """The example with every key in force, and its secrets in `folder`."""
    text = COMMENTED_KEY.sub(r"\1\2", EXAMPLE.read_text(encoding="utf-8"))
    for name in re.findall(r"token_file: /etc/gateway/(\S+)", text):
        (folder / name).write_text("secret\n", encoding="utf-8")
    secrets = re.findall(r"(?:password|passcode|client_secret)_file: /etc/gateway/(\S+)", text)
    for name in secrets:
        (folder / name).write_text("secret\n", encoding="utf-8")
    return text.replace("/etc/gateway/", f"{folder}/")


def keys_of_model(model: type[BaseModel], place: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        here = f"{place}{name.removesuffix('_file')}"
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        below = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        yield here
        for one in below:
            yield from keys_of_model(one, f"{here}.")


def keys_of_file(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from keys_of_file(one, place)
    elif isinstance(value, dict):
        for name, inner in value.items():
            here = f"{place}{str(name).removesuffix('_file')}"
            yield here
            yield from keys_of_file(inner, f"{here}.")


def test_the_example_says_what_the_built_in_defaults_say() -> None:
    example = load(EXAMPLE)
    # Its relative path means the folder of the file.
    assert example.database.url == f"sqlite:///{EXAMPLE.parent}/gateway.db"
    assert example.model_copy(update={"database": Config().database}) == load(None) == Config()
    assert Config().database.url == "sqlite:///gateway.db"


def test_every_key_stands_in_the_example_and_no_other(tmp_path: Path) -> None:
    # The entries of a table, of roles by the value of a claim and of filters by attribute, are a site's own.
    named = {
        one
        for one in keys_of_file(yaml.safe_load(uncommented(tmp_path)))
        if ".oidc.roles." not in one and ".filters." not in one
    }
    assert named == set(keys_of_model(Config))


def test_each_default_is_written_out(tmp_path: Path) -> None:
    """A default that only the code knows cannot be read by who installs; optional ones have none to write."""
    said = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for section, value in Config().model_dump(exclude_none=True).items():
        if section != "ehrs":
            assert set(value) == set(said[section] or {}), section
    optional = {name for name, field in Listener.model_fields.items() if field.default is None}
    assert set(said["hl7"]["listeners"][0]) == set(Listener.model_fields) - optional


def test_what_is_commented_out_can_be_taken_into_use(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(uncommented(tmp_path), encoding="utf-8")
    config = load(file)
    plain, smart, secret = config.ehrs
    assert plain.auth == HttpAuth(kind="bearer", token_file=tmp_path / "ehr.token")
    assert [one.auth.kind for one in (smart, secret) if one.auth] == ["smart", "basic"]
    optional = {"auth": plain.auth, "token": "secret", "tls": plain.tls, "proxy": plain.proxy,
                "max_requests_per_second": 50}  # fmt: skip
    assert plain == Ehr(name="ehr", url="https://ehr.example.org/fhir").model_copy(update=optional)
    assert config.http.token == "secret"
    assert [one.name for one in config.hl7.listeners] == ["ris", "cardiology"]
    assert config.mappings.overlay == tmp_path / "mappings.d"


async def test_check_finds_no_fault_in_what_is_commented_out(tmp_path: Path) -> None:
    overlay = tmp_path / "mappings.d"
    overlay.mkdir()
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", password="secret")
    ours.certificate.rename(tmp_path / "hl7.pem")
    ours.key.rename(tmp_path / "hl7.key")
    client = authority.issue("client", password="secret")
    client.certificate.rename(tmp_path / "ehr-client.pem")
    client.key.rename(tmp_path / "ehr-client.key")
    shutil.copy(authority.certificate, tmp_path / "http-clients.pem")
    for name in ("ris", "pacs", "siem", "oidc", "oidc-client", "http", "vna", "archive"):
        shutil.copy(authority.certificate, tmp_path / f"{name}-ca.pem")
        for kind in ("pem", "key"):
            shutil.copy(tmp_path / f"ehr-client.{kind}", tmp_path / f"{name}.{kind}")
    authority.issue("keys", password="secret").key.rename(tmp_path / "ehr-keys.pem")
    shutil.copy(authority.certificate, tmp_path / "ehr-ca.pem")
    authority.certificate.rename(tmp_path / "clients.pem")
    file = tmp_path / "gateway.yaml"
    file.write_text(uncommented(tmp_path).replace("overlay: mappings.d", f"overlay: {overlay}"), encoding="utf-8")
    checked = await gateway("check", "--offline", "-c", file, folder=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_each_key_has_its_comment() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    # Sections whose name says it, and keys that a line above explains together with another one.
    bare = {"site", "database", "hl7", "dicom", "worklist", "performed_steps", "studies", "http", "facade", "mappings",
            "log", "audit", "retention", "first_seconds", "max_seconds"}  # fmt: skip
    second_listener = lines.index("    # - name: cardiology")
    for number, line in enumerate(lines):
        key = re.match(r"^[\s#-]*?([a-z_]+):(?: |$)", line)
        if key is None or key[1] in bare or second_listener <= number < second_listener + 4:
            continue
        above = lines[number - 1].strip(" #")
        assert above.endswith(".") or above[:1].isupper(), f"line {number + 1}: {key[1]} has no comment above it"
