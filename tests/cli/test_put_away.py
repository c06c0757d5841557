"""What nobody can mend is put away with a note, by id or by cause, and taken back."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

from gateway.wire.hl7.mllp_client import MllpClient
from tests.cli.test_commands import configure
from tests.commands import gateway, served
from tests.journey.messages import orm


async def test_what_nobody_can_mend_is_put_away(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    async with served(tmp_path), MllpClient("127.0.0.1", ports["hl7"]) as ris:
        for number in range(3):
            await ris.send(orm(modality="QQ", control_id=f"WRONG{number}"))
        scan(ports["hl7"])
        while "1 arrived unreadable (--by-cause)" not in (await gateway("parked", folder=tmp_path)).stdout:
            pass
        lines = (await gateway("parked", "--by-cause", folder=tmp_path)).stdout.splitlines()
        key = lines[0].split()[0]
        assert re.match(r"\w{8}  3 x not applied: OBR-24.1: .*'…'", lines[0]), lines
        assert lines[1] == "      such as m3 ORM^O01 ris"
        assert "  1 x unreadable: ris 127.0.0.1: " in lines[2]
        [group, _] = json.loads((await gateway("parked", "--by-cause", "--json", folder=tmp_path)).stdout)
        assert (group["cause"]["key"], group["cause"]["kind"], group["count"]) == (key, "m", 3)

        done = await gateway("put-away", "m1", "r1", "m77", "--note", "the vendor tests", folder=tmp_path)
        assert (done.returncode, done.stdout) == (1, "m1: put away\nr1: put away\n")
        assert done.stderr == "message 77: there is no message 77\n"
        done = await gateway("put-away", "--cause", key, "--note", "the same", folder=tmp_path)
        assert done.stdout == f"{key}: 2 put away\n"
        assert (await gateway("parked", folder=tmp_path)).stdout == "Nothing is parked.\n"
        await ris.send(orm(modality="QQ", control_id="WRONG0"))
        assert (await gateway("parked", "--by-cause", folder=tmp_path)).stdout == "Nothing is parked.\n"
        assert (await gateway("put-away", "--undo", "m1", folder=tmp_path)).returncode == 0
        again = await gateway("replay", "--cause", key, folder=tmp_path)
        assert (again.returncode, again.stderr) == (1, f"{key}: 1 messages are still not applied\n")


def scan(port: int) -> None:
    """A program that opens a frame and goes away."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x0bGET / HTTP/1.0\r\n\r\n")


async def test_a_note_is_asked_for(tmp_path: Path) -> None:
    for words, fault in (
        (("m1",), "say why: --note"), ((), "name what to put away"), (("d1", "--note", "x"), "is not an id such as m7"),
        (("--undo", "--cause", "00000000"), "--undo goes with ids"),
    ):  # fmt: skip
        done = await gateway("put-away", *words, folder=tmp_path)
        assert done.returncode == 2
        assert fault in done.stderr
