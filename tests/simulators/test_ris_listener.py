"""The RIS that listens: its manners, what it keeps, and `gateway simulate ris --listen`."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import get_args

import pytest

from bench.ports import free_port
from gateway.cli import simulation
from gateway.errors import ConfigError, Unavailable
from gateway.simulators.ris_listener import RisListener
from gateway.simulators.ris_manners_file import SHIPPED, Action, RisRule, RisScript, load
from gateway.wire.hl7.mllp_sender import MllpSender
from tests.commands import Command
from tests.conftest import comes_true, until
from tests.journey.messages import orm


def sender_to(ris: RisListener, seconds: float = 60.0) -> MllpSender:
    return MllpSender("127.0.0.1", ris.port, timeout=seconds)


async def acknowledgement(sender: MllpSender) -> str:
    """MSA-1; empty where none came in time."""
    try:
        return (await sender.send(orm(), "MSG1")).code
    except Unavailable:
        return ""


async def test_a_message_is_accepted_once_however_often_it_comes() -> None:
    async with RisListener() as ris:
        sender = sender_to(ris)
        for _ in range(2):
            assert (await sender.send(orm(), "MSG1")).code == "AA"
        assert (len(ris.received), list(ris.accepted), ris.connections) == (2, ["MSG1"], 1)
        await sender.close()


@pytest.mark.parametrize("do", ["silent", "close_before", "close_after", "other"])
async def test_no_acknowledgement_is_an_error_and_the_end_of_the_connection(do: Action) -> None:
    async with RisListener(script=RisScript(rules=[RisRule(do=do, times=1)])) as ris:
        sender = sender_to(ris, seconds=1 if do in ("silent", "other") else 60)
        with pytest.raises(Unavailable):
            await sender.send(orm(), "MSG1")
        assert ("MSG1" in ris.accepted) == (do != "close_before")
        # On another connection; a busy machine may take longer for the answer than a sender waits for silence.
        assert await comes_true(lambda: acknowledgement(sender)) == "AA"
        await sender.close()


async def test_a_receiver_that_ended_an_idle_connection_costs_no_message() -> None:
    ris = RisListener(free_port())
    async with ris:
        sender = sender_to(ris)
        await sender.send(orm(), "MSG1")
    async with ris:
        assert (await sender.send(orm(control_id="MSG2"), "MSG2")).code == "AA"
        await sender.close()


def test_scripts_that_come_with_the_gateway_can_be_read_and_stand_in_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/manners.md").read_text(encoding="utf-8").partition("## A RIS that")[2]
    shown = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) - {"do"}
    shipped = {one.stem for one in SHIPPED.glob("*.yaml")}
    assert shown == shipped | set(get_args(Action))
    assert all(load(name).rules for name in shipped)
    with pytest.raises(ConfigError, match="there is no such file"):
        load("nobody")


async def test_simulate_ris_listens_and_prints_what_comes(tmp_path: Path) -> None:
    command = Command(("simulate", "ris", "--listen", "0", "--manners", "enhanced"), tmp_path, {})
    try:
        await until(lambda: "destinations:" in command.output, what="its address")
        sender = MllpSender("127.0.0.1", int(re.findall(r"127.0.0.1:(\d+)", command.output)[0]), timeout=60)
        for number in (1, 2):
            assert (await sender.send(orm(control_id=f"MSG{number}"), f"MSG{number}")).code == "CA"
        await sender.close()
        command.signal(signal.SIGINT)
        assert await command.ended() == 0, command.errors
        assert "MSG2  ORM^O01  NW/SC P1 F1  CA" in command.output
        assert "2 messages received, 2 of them accepted" in command.output
    finally:
        await command.end()


@pytest.mark.parametrize("words", [("ris", "--listen", "0"), ("ehr", "--port", "0")])
async def test_who_reads_its_address_may_end_a_simulator(words: tuple[str, ...], tmp_path: Path) -> None:
    command = Command(("simulate", *words), tmp_path, {}, prepare=_end_at_the_last_line)
    try:
        assert await command.ended() == 0, command.errors
        assert "simulator" in command.output
    finally:
        await command.end()


def _end_at_the_last_line() -> None:
    """Ask the process to end as soon as it has printed what goes into a configuration."""
    say = vars(simulation)["say"]

    def said(text: str) -> None:
        say(text)
        if "name: simulator" in text:
            signal.raise_signal(signal.SIGTERM)

    vars(simulation)["say"] = said
