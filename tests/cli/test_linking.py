"""`unlinked`, `link` and `unlink`, in this process: what they print, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.errors import GatewayError
from gateway.store import Store
from tests.web.served import UNLINKED, add_order, add_unlinked_step


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database that holds an order and an examination of which it may be."""
    url = f"sqlite:///{tmp_path}/gateway.db"

    def fill(connection: Connection) -> None:
        add_unlinked_step(connection, add_order(connection)[0])

    async def prepare() -> None:
        store = await Store.open(url)
        await store.write(fill)
        await store.close()

    asyncio.run(prepare())
    monkeypatch.setenv("GATEWAY_DATABASE__URL", url)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.usefixtures("folder")
def test_what_waits_is_listed_and_linked() -> None:
    listed = run("unlinked").splitlines()
    assert listed[0].startswith(f"{UNLINKED}: IN PROGRESS CT by CT1, patient 4711, begun at 2026-01-05T09:00:01Z")
    assert listed[1].startswith("    step SPS1 of order 1 (accession number A100, SCHEDULED): the same patient")
    done = f"{UNLINKED} is linked to step SPS1 of order 1"
    assert run("link", UNLINKED, "--accession", "A100", "--by", "anna") == f"{done}\n"
    assert run("link", UNLINKED, "--order", "1") == f"{done} already, nothing was done\n"
    assert run("unlinked") == "every performed step is linked to what was ordered\n"
    assert '"person":"anna"' in run("show", "A100", "--json").replace(" ", "")


@pytest.mark.usefixtures("folder")
def test_faults_are_named() -> None:
    for arguments, text in (
        (("link", "1.2.3", "--accession", "A100"), "there is no such performed step"),
        (("link", UNLINKED), "name the order, or its accession number"),
        (("link", UNLINKED, "--accession", "A100", "--step", "S9"), "the steps are SPS1"),
        (("unlink", UNLINKED), "not linked to such an order"),
        (
            ("link", UNLINKED, "--accession", "A100", "--order", "2"),
            "order 2 does not have .* A100, .* of 1;",
        ),
        (("unlink", UNLINKED, "--accession", "A7", "--order", "1"), "order 1 does not have .* A7, .* of no order"),
        (("link", UNLINKED, "--order", "1", "--reason", "x" * 257), "257 characters, at most 256 are kept"),
        (("link", UNLINKED, "--order", "1", "--by", "x" * 100_000), "100000 characters, at most 256 are kept"),
    ):
        with pytest.raises(GatewayError, match=text):
            run(*arguments)


@pytest.mark.usefixtures("folder")
def test_an_id_that_no_row_can_have_is_a_fault_of_the_command() -> None:
    for command in ("link", "unlink"):
        result = CliRunner().invoke(cli, [command, UNLINKED, "--order", str(2**63)])
        assert (result.exit_code, "'--order'" in result.output) == (2, True), result.output
