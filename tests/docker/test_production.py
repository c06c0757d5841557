"""`docker/compose.production.yaml` and what it mounts: no engine runs it here; files, keys and names agree."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from gateway.config.tree import Config, load
from tests.commands import gateway
from tests.peers.openssl import Authority

DOCKER = Path(__file__).parents[2] / "docker"
FILE = DOCKER / "compose.production.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KNOWN = {
    "build", "image", "volumes", "tmpfs", "secrets", "ulimits", "ports", "networks", "depends_on", "stop_grace_period",
    "network_mode", "cap_add", "cap_drop", "security_opt", "read_only", "pids_limit", "restart", "logging", "command",
    "environment", "healthcheck",
}  # fmt: skip
"""Keys of a service in the Compose Specification, as far as they are used here."""


def mounts() -> Iterator[tuple[str, str]]:
    """Source and target of each mount of a file or folder."""
    for service in SERVICES.values():
        for mount in service["volumes"]:
            source, target, *_mode = mount.split(":")
            if source.startswith("./"):
                yield source.removeprefix("./"), target


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """The configuration with certificates and secrets of a test in place of those of a site."""
    authority = Authority(tmp_path, "clients")
    issued = authority.issue("gateway")
    shutil.copy(issued.certificate, tmp_path / "postgres.pem")
    url = re.search(r"database_url: (postgresql://\S+)", FILE.read_text(encoding="utf-8"))
    assert url is not None
    (tmp_path / "database_url").write_text(url[1], encoding="utf-8")
    (tmp_path / "ehr_token").write_text("another-token\n", encoding="utf-8")
    text = (DOCKER / "gateway.production.yaml").read_text(encoding="utf-8")
    text = text.replace("/etc/gateway/tls", str(tmp_path)).replace("/run/secrets", str(tmp_path))
    file = tmp_path / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


@pytest.fixture
def config(mounted: Path) -> Config:
    return load(mounted)


def test_every_key_and_every_name_leads_somewhere() -> None:
    text = FILE.read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        assert service.keys() <= KNOWN, name
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
        assert set(service.get("networks", ())) <= COMPOSE["networks"].keys()
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
    for source, _ in mounts():
        beside = (DOCKER / source).exists()
        assert beside or f"{source.partition('/')[0]}/" in text.partition("name:")[0], (
            f"{source} is named by the comment"
        )
    assert {one["file"].partition("/")[2] for one in COMPOSE["secrets"].values()} == {
        f"secrets/{name}" for name in COMPOSE["secrets"]
    }
    assert {"tls/", "secrets/"} <= set((DOCKER / ".gitignore").read_text(encoding="utf-8").split())


def test_only_ports_with_tls_are_published(config: Config) -> None:
    published = {int(port.split(":")[1]) for port in SERVICES["gateway"]["ports"]}
    assert not [name for name, one in SERVICES.items() if name != "gateway" and "ports" in one]
    assert config.dicom.tls is not None
    assert config.dicom.tls.only
    assert all(one.tls is not None and one.tls.client_ca for one in config.hl7.listeners)
    assert published == {one.port for one in config.hl7.listeners} | {config.dicom.tls.port, 443}
    assert (config.http.host, config.http.behind_proxy, config.http.is_open) == ("127.0.0.1", ["127.0.0.1"], True)
    assert COMPOSE["networks"]["inside"]["internal"]
    assert SERVICES["postgres"]["networks"] == ["inside"]


def test_the_database_is_reached_over_tls_by_its_name(config: Config) -> None:
    url, environment = make_url(config.database.url), SERVICES["postgres"]["environment"]
    assert (url.host, url.username, url.database) == (
        "postgres", environment["POSTGRES_USER"], environment["POSTGRES_DB"],
    )  # fmt: skip
    assert url.query["sslmode"] == "verify-full"
    targets = dict(mounts())
    assert str(url.query["sslrootcert"]).startswith(f"{targets['tls']}/")
    command = " ".join(SERVICES["postgres"]["command"])
    for key in ("ssl_cert_file", "ssl_key_file"):
        assert re.search(rf"{key}=(\S+)", command)[1] in targets.values()  # type: ignore[index]


def test_the_proxy_serves_the_port_of_the_gateway(config: Config) -> None:
    assert SERVICES["proxy"]["network_mode"] == "service:gateway"
    text = (DOCKER / "proxy" / "nginx.conf").read_text(encoding="utf-8")
    assert f"server {config.http.host}:{config.http.port};" in text
    assert re.findall(r"ssl_certificate(?:_key)?\s+(\S+);", text) == [
        "/etc/gateway/tls/gateway.pem", "/etc/gateway/tls/gateway.key",
    ]  # fmt: skip


async def test_check_finds_no_fault_and_no_open_door(mounted: Path) -> None:
    checked = await gateway("check", "--offline", "--json", "-c", mounted, folder=mounted.parent)
    findings = json.loads(checked.stdout)
    assert [one for one in findings if not one["ok"]] == []
    # The certificates of a test are good for two days.
    warned = [one["what"] for one in findings if one["warning"] and not one["detail"].endswith("days left")]
    assert warned == [], checked.stdout
