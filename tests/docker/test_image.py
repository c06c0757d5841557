"""`docker/Dockerfile`: its first stage is run in a scratch folder, its second is compared with the product."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.cli import cli
from gateway.config.database import Database
from gateway.config.dicom import Dicom
from gateway.config.hl7 import Hl7, Listener
from gateway.config.http import Http
from gateway.config.tree import Config
from tests.docker.test_compose import SERVICES, mounts
from tests.peers.process import run

ROOT = Path(__file__).parents[2]
VENV: Final = "/opt/gateway"


@dataclass(frozen=True)
class Stage:
    base: str
    steps: list[tuple[str, str]]
    """Instruction and its argument, in order."""

    def all(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.steps if name == instruction]

    def one(self, instruction: str) -> str:
        (argument,) = self.all(instruction)
        return argument


def read_dockerfile() -> list[Stage]:
    text = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, argument = line.split(maxsplit=1)
        if name == "FROM":
            stages.append(Stage(argument.split()[0], []))
        else:
            stages[-1].steps.append((name, argument))
    return stages


BUILDER, RUNTIME = read_dockerfile()


def copied_from_context() -> list[str]:
    copies = [argument.split() for stage in (BUILDER, RUNTIME) for argument in stage.all("COPY")]
    return [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock file; each must have a hash."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)(.*)$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert all(rest.endswith("\\") for _, _, rest in found), f"{lock.name}: a package without a hash"
    return {name: version for name, version, _ in found}


async def build(scratch: Path) -> Path:
    """Do what the first stage does, in `scratch` instead of /src and /opt; returns the virtual environment."""
    source, venv = scratch / "src", scratch / "venv"
    source.mkdir()
    # An environment with pip, as the base image has it. Python's own venv would compile all of pip first, and is not
    # everywhere beside Debian's Python; nothing that is installed here runs more than a few times.
    made = await run(installed_uv(), "venv", "--quiet", "--seed", "--python", sys.executable, scratch / "base")
    assert made.returncode == 0, made.stderr
    env = {"PATH": f"{scratch / 'base/bin'}:{os.defpath}", "PIP_NO_COMPILE": "1"}
    for instruction, argument in BUILDER.steps:
        if instruction == "COPY":
            *names, target = argument.split()
            for name in names:
                copy(ROOT / name, source / target)
        elif instruction == "RUN":
            command = f"cd {source} && {argument.replace(VENV, str(venv))}"
            done = await run("/bin/sh", "-c", command, timeout=300, env=env)
            assert done.returncode == 0, f"{argument}\n{done.stdout}\n{done.stderr}"
    return venv


def installed_uv() -> Path:
    """The uv that made the environment of the tests: that of this machine, or one of their own."""
    return Path(shutil.which("uv") or Path(sys.executable).with_name("uv"))


def copy(source: Path, target: Path) -> None:
    """As COPY: a folder's content goes into the target, a file into the folder."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def content(folder: Path) -> dict[Path, bytes]:
    return {one.relative_to(folder): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


async def test_the_steps_of_the_image_give_a_working_gateway(tmp_path: Path) -> None:
    """The locks and the wheel are enough: commands start, mappings and migrations are inside, so is psycopg."""
    venv = await build(tmp_path)
    work = tmp_path / "data"
    work.mkdir()

    async def inside(command: str) -> str:
        done = await run("/bin/sh", "-c", f"cd {work} && {venv}/bin/{command}", env={"PYTHONPATH": ""})
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    [program] = json.loads(RUNTIME.one("ENTRYPOINT"))
    where = "from gateway.mapping import shipped; import psycopg; print(shipped())"
    packaged = Path((await inside(f'python -c "{where}"')).strip())
    assert packaged.is_relative_to(venv)
    assert content(packaged) == content(ROOT / "mappings")
    assert "schema" in await inside(f"{program} db upgrade")
    assert (work / "gateway.db").stat().st_size > 0


def test_what_is_copied_exists_and_may_enter_the_build() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for source in copied_from_context():
        assert (ROOT / source).exists(), source
    assert let_in == set(copied_from_context())


def test_nothing_is_installed_without_a_hash_but_our_own_wheel() -> None:
    installs = [one for one in BUILDER.all("RUN") if "pip install" in one]
    assert len(installs) == 3
    *locked, wheel = installs
    assert all("--require-hashes" in one for one in locked)
    assert "--no-deps dist/" in wheel
    assert not any("pip" in one for one in RUNTIME.all("RUN"))


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested = pinned(ROOT / "requirements.lock")
    image = pinned(ROOT / "docker/requirements.lock")
    tools = pinned(ROOT / "docker/build.lock")
    assert tools.keys() - tested.keys() == {"uv"}
    assert image | tools == {name: tested.get(name, tools.get(name)) for name in image | tools}


@pytest.mark.parametrize("lock", ["docker/build.lock", "docker/requirements.lock"])
def test_a_lock_names_no_machine_and_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert pinned(ROOT / lock)
    assert "://" not in text
    assert "--index-url" not in text
    assert str(ROOT) not in text


def test_the_runtime_has_the_builders_python_and_takes_its_environment_only() -> None:
    assert RUNTIME.base == BUILDER.base
    assert RUNTIME.one("COPY") == f"--from=builder {VENV} {VENV}"
    assert f"PATH={VENV}/bin:$PATH" in RUNTIME.one("ENV")


def test_the_gateway_is_not_root_and_owns_its_folder() -> None:
    user, group = RUNTIME.one("USER").split(":")
    made = RUNTIME.one("RUN")
    assert int(user) > 0
    assert f"--gid {group} gateway" in made
    assert f"--uid {user} --gid {group}" in made
    assert f"install -d -o gateway -g gateway -m 0700 {RUNTIME.one('VOLUME')}" in made
    assert RUNTIME.one("WORKDIR") == RUNTIME.one("VOLUME")
    names = [name for name, _ in RUNTIME.steps]
    assert names.index("RUN") < names.index("USER") < names.index("WORKDIR")


def test_the_command_is_the_products_and_reads_what_compose_mounts() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert json.loads(RUNTIME.one("ENTRYPOINT"))[0] in scripts
    command, option, path = json.loads(RUNTIME.one("CMD"))
    assert "-c" in CliRunner().invoke(cli, [command, "--help"]).output
    assert option == "-c"
    assert ("gateway", "./gateway.yaml", path) in set(mounts())


def test_what_compose_publishes_is_exposed() -> None:
    inside = {port.split(":")[2] for port in SERVICES["gateway"]["ports"]}
    assert inside == set(RUNTIME.one("EXPOSE").split())


async def test_the_probe_tells_a_gateway_that_serves_from_one_that_does_not(tmp_path: Path) -> None:
    config = Config(
        database=Database(url=f"sqlite:///{tmp_path / 'gateway.db'}"),
        hl7=Hl7(listeners=[Listener(port=0)]),
        dicom=Dicom(port=0),
        http=Http(port=free_port(), token="a-token"),  # nobody else listens there afterwards
    )
    _options, command = RUNTIME.one("HEALTHCHECK").split("CMD", 1)
    python, option, code = json.loads(command)
    assert (python, option) == ("python", "-c")
    assert ":8080/" in code
    # A proxy for the world outside is no way to the gateway itself.
    proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    async with app.running(config) as gateway:
        probe = code.replace(":8080/", f":{gateway.http_port}/")
        alive = await run(sys.executable, "-c", probe, env=proxy)
    assert alive.returncode == 0, alive.stderr
    stopped = await run(sys.executable, "-c", probe, env=proxy)
    assert stopped.returncode != 0
