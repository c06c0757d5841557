from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.operations.state.components import Component, examine
from gateway.store import Store
from tests.conftest import comes_true
from tests.web.served import Served


async def test_live(console: Served) -> None:
    assert await console.get("/health/live") == (200, {"status": "live"})


async def test_ready_names_every_component(console: Served) -> None:
    status, body = await console.get("/health/ready")
    assert status == 200
    assert body == {
        "status": "ready",
        "components": {
            "database": {"ok": True, "detail": "sqlite"},
            "writing": {"ok": True, "detail": "commits"},
            "dicom": {"ok": True, "detail": "port 11112, 2 associations"},
        },
    }


async def test_one_component_that_is_not_well_makes_503(console: Served) -> None:
    async def components() -> dict[str, Component]:
        return {"dicom": Component(True, "port 1"), "worker": Component(False, "stopped")}

    console.components = components
    status, body = await console.get("/health/ready")
    assert (status, body["status"]) == (503, "not ready")
    assert body["components"]["worker"] == {"ok": False, "detail": "stopped"}


async def test_components_that_cannot_be_asked_make_503(console: Served) -> None:
    async def components() -> dict[str, Component]:
        raise RuntimeError("Muster^Erika")

    console.components = components
    status, body = await console.get("/health/ready")
    assert (status, body["components"]["gateway"]["ok"]) == (503, False)
    assert "Muster" not in str(body)


async def test_a_component_that_does_not_answer_is_not_waited_for(sqlite_url: str) -> None:
    async def components() -> dict[str, Component]:
        await asyncio.Event().wait()
        return {}

    store = await Store.open(sqlite_url)
    try:
        found = await comes_true(lambda: examine(store, components, seconds=0.05), lambda found: found["database"].ok)
    finally:
        await store.close()
    assert found["gateway"] == Component(False, "no answer within 0.05 s")


def _replace_by_folder(database: Path) -> None:
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
    database.mkdir()


async def test_a_database_that_is_away_is_said_so_everywhere(console: Served, tmp_path: Path) -> None:
    console.store.engine.dispose()
    _replace_by_folder(tmp_path / "gateway.db")
    status, body = await console.get("/health/ready")
    assert (status, body["components"]["database"]["ok"]) == (503, False)
    assert str(tmp_path) not in str(body)
    async with console.session.get(f"{console.base}/api/orders") as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert (await response.json())["error"]["place"] == "database"
    async with console.session.get(f"{console.base}/metrics") as response:
        assert response.status == 200
        assert "gateway_database_up 0.0" in await response.text()
    async with console.session.get(console.base + "/") as response:
        assert response.status == 503
        assert "The database does not answer." in await response.text()
