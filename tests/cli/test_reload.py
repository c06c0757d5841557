"""SIGHUP and `POST /api/reload` at a gateway that serves: what is taken, what keeps all as it was, what waits."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bench.ports import free_port
from tests.commands import Command, served
from tests.conftest import until

TOKEN = "a-token-of-24-characters"
CONFIGURATION = """
database: {{url: "sqlite:///gateway.db"}}
hl7: {{listeners: [{{port: 0}}]}}
dicom: {{port: 0}}
http: {{port: {port}, token: {token}}}
mappings: {{overlay: overlay}}
log: {{level: {level}}}
"""


class Gateway:
    def __init__(self, folder: Path, port: int, command: Command) -> None:
        self.folder, self.port, self.command = folder, port, command

    def write(self, *, token: str = TOKEN, level: str = "info", port: int | None = None) -> None:
        text = CONFIGURATION.format(port=port or self.port, token=token, level=level)
        (self.folder / "gateway.yaml").write_text(text, encoding="utf-8")

    async def ask(self, path: str, method: str = "GET", *, token: str = TOKEN) -> tuple[int, Any]:
        def asked() -> tuple[int, Any]:
            request = Request(f"http://127.0.0.1:{self.port}{path}", method=method)
            request.add_header("Authorization", f"Bearer {token}")
            try:
                with urlopen(request, timeout=120) as answer:
                    return answer.status, json.load(answer)
            except HTTPError as error:
                return error.code, None

        return await asyncio.to_thread(asked)

    async def configuration(self) -> dict[str, Any]:
        _, state = await self.ask("/api/state")
        [part] = [one for one in state["parts"] if one["kind"] == "configuration"]
        return dict(part)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with _running(tmp_path) as gateway:
        yield gateway


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[Gateway]:
    port = free_port()
    (folder / "overlay" / "tables").mkdir(parents=True)
    (folder / "gateway.yaml").write_text(CONFIGURATION.format(port=port, token=TOKEN, level="info"), encoding="utf-8")
    async with served(folder) as command:
        yield Gateway(folder, port, command)


def _is_logged(running: Gateway, line: str) -> bool:
    return line in running.command.errors


async def test_a_signal_puts_new_files_in_force_and_a_fault_keeps_all_as_it_was(running: Gateway) -> None:
    running.write(token="another-token-of-24-chars", port=1)
    running.command.signal(signal.SIGHUP)
    for line in ("reloaded: mappings", "in force only after a restart: http.port"):
        await until(partial(_is_logged, running, line), what=line)
    assert (await running.ask("/api/state"))[0] == 401
    assert (await running.ask("/api/state", token="another-token-of-24-chars"))[0] == 200
    (running.folder / "overlay" / "modality.csv").write_text("code,value\n", encoding="utf-8")
    running.write()
    running.command.signal(signal.SIGHUP)
    await until(lambda: "not reloaded, what was read before stays in force" in running.command.errors)
    assert running.command.is_alive
    assert (await running.ask("/api/state"))[0] == 401, "the token is the one that was in force"


async def test_the_answer_names_faults_and_what_waits_and_the_state_shows_them(running: Gateway) -> None:
    (running.folder / "overlay" / "tables" / "modality.csv").write_text("code,value\nKT,NO\nKT,CT\n", encoding="utf-8")
    status, answer = await running.ask("/api/reload", "POST")
    assert (status, answer["is_in_force"]) == (200, False)
    assert "modality.csv" in answer["faults"][0]
    part = await running.configuration()
    assert (part["level"], answer["faults"][0] in part["detail"]) == ("bad", True)
    (running.folder / "overlay" / "tables" / "modality.csv").write_text("code,value\nKT,CT\n", encoding="utf-8")
    running.write(level="warning")
    status, answer = await running.ask("/api/reload", "POST")
    assert (answer["is_in_force"], answer["faults"], answer["waits_for_restart"]) == (True, [], [])
    while (await running.configuration())["level"] != "good":
        pass  # a state is shared for a second by all who ask
