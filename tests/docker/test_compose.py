"""`docker/compose.yaml` and the files it mounts: that they exist, agree with one another, and are what peers accept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from gateway.config.tree import Config, load
from tests.commands import gateway

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::\?[^}]*)?\}")
DEFAULT_LESS = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def interpolated(value: str) -> str:
    """What Compose makes of a value when docker/.env gives each variable its own name in small letters."""
    return VARIABLE.sub(lambda found: found[1].lower(), value)


def mounts() -> Iterator[tuple[str, str, str]]:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source, target, *_mode = mount.split(":")
            yield name, source, target


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The gateway's configuration with the environment and the secrets that Compose gives it."""
    for name, value in SERVICES["gateway"]["environment"].items():
        monkeypatch.setenv(name, interpolated(value))
    text = (DOCKER / "gateway.yaml").read_text(encoding="utf-8")
    for secret in SERVICES["gateway"]["secrets"]:
        path = f"/run/secrets/{secret['source']}"
        assert path in text
        (tmp_path / secret["source"]).write_text("a-token\n", encoding="utf-8")
        text = text.replace(path, str(tmp_path / secret["source"]))
    file = tmp_path / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def config(mounted: Path) -> Config:
    return load(mounted)


def test_the_four_systems_are_there() -> None:
    assert set(SERVICES) == {"gateway", "postgres", "orthanc", "fhir"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_an_image_of_a_fixed_version_or_is_built(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        context = (DOCKER / service["build"]["context"]).resolve()
        assert (context / "pyproject.toml").is_file()
        assert (context / service["build"]["dockerfile"]).is_file()
    else:
        image, _, tag = service["image"].partition(":")
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?", image), "a name of the default registry"
        assert re.match(r"v?\d", tag)


def test_every_mounted_file_exists_and_every_volume_is_declared() -> None:
    for service, source, _target in mounts():
        if source.startswith("."):
            assert (DOCKER / source).is_file(), f"{service}: {source}"
        else:
            assert source in COMPOSE["volumes"], f"{service}: {source}"
    assert {source for _, source, _ in mounts() if not source.startswith(".")} == set(COMPOSE["volumes"])


def test_ports_are_published_on_this_machine_only_and_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) >= 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)


def test_a_service_waits_for_services_that_can_tell() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            # The gateway's probe is in its image.
            probed = "healthcheck" in SERVICES[other] or other == "gateway"
            assert how["condition"] in ("service_healthy", "service_started"), name
            assert probed or how["condition"] == "service_started", f"{name} waits for {other}, which has no probe"
    assert SERVICES["gateway"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_secrets_have_no_default_and_stand_in_the_example_environment() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    assert len(DEFAULT_LESS.findall(text)) == text.count("${")
    wanted = set(VARIABLE.findall(text)) | {one["environment"] for one in COMPOSE["secrets"].values()}
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert set(given) == wanted
    assert not any(given.values())


def test_the_environment_file_itself_is_kept_out_of_git() -> None:
    assert ".env" in (DOCKER / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_gateway_uses_the_database_beside_it(config: Config) -> None:
    url, database = make_url(config.database.url), SERVICES["postgres"]["environment"]
    assert url.get_backend_name() == "postgresql"
    assert (url.host, url.username, url.database) == (
        "postgres",
        database["POSTGRES_USER"],
        database["POSTGRES_DB"],
    )
    assert url.password == interpolated(database["POSTGRES_PASSWORD"])


def test_the_gateway_listens_where_its_ports_are_published(config: Config) -> None:
    listening = {one.port for one in config.hl7.listeners} | {config.dicom.port, config.http.port}
    assert {int(port.split(":")[2]) for port in SERVICES["gateway"]["ports"]} == listening
    assert {config.dicom.host, config.http.host, *(one.host for one in config.hl7.listeners)} == {"0.0.0.0"}
    assert config.http.token == "a-token"


def test_the_ehr_is_the_fhir_server_beside_it(config: Config) -> None:
    port = SERVICES["fhir"]["ports"][0].split(":")[2]
    assert [one.url for one in config.ehrs] == [f"http://fhir:{port}/fhir"]


def test_orthanc_knows_the_gateway_and_publishes_its_own_ports(config: Config) -> None:
    orthanc = json.loads((DOCKER / "orthanc.json").read_text(encoding="utf-8"))
    assert orthanc["DicomModalities"]["gateway"] == [config.dicom.ae_title, "gateway", config.dicom.port]
    inside = {int(port.split(":")[2]) for port in SERVICES["orthanc"]["ports"]}
    assert inside == {orthanc["DicomPort"], orthanc["HttpPort"]}
    targets = {target for name, _, target in mounts() if name == "orthanc"}
    assert set(orthanc["LuaScripts"]) <= targets
    assert json.loads(interpolated(SERVICES["orthanc"]["environment"]["ORTHANC__REGISTERED_USERS"]))


async def test_check_finds_no_fault_in_the_mounted_configuration(mounted: Path) -> None:
    checked = await gateway("check", "--offline", "--json", "-c", mounted, folder=mounted.parent)
    assert checked.returncode == 0, checked.stderr
    findings = json.loads(checked.stdout)
    assert findings
    assert [one for one in findings if not one["ok"]] == []
    # In a container everything listens everywhere: the check notes what that leaves open.
    what_is_open = {str(mounted), "dicom.peers", "ehrs hapi", "hl7.listeners ris", "http", "http.token", "retention"}
    assert {one["what"] for one in findings if one["warning"]} <= what_is_open
