from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.served import Served, served


@pytest.fixture
async def console(sqlite_url: str) -> AsyncIterator[Served]:
    async with served(sqlite_url) as one:
        yield one
