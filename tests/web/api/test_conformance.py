"""The statements over HTTP: one page each, which may load nothing and run nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from gateway.operations.conformance.sections import Statement, StatementName, StatementSection, StatementTable
from tests.web.served import Served


async def _stated(name: StatementName) -> Statement:
    table = StatementTable("A table", ("Key",), [("<script>alert(1)</script>",), ("`code`",)])
    return Statement((StatementSection("1", f"Statement of {name}"), StatementSection("1.1", "Part", "text", (table,))))


@pytest.mark.parametrize("name", StatementName)
async def test_a_statement_is_a_page_whose_style_alone_is_let_in(name: StatementName, console: Served) -> None:
    console.system = replace(console.system, statement=_stated)
    async with console.session.get(f"{console.base}/api/conformance/{name}") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        text, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert f"<title>Statement of {name}</title>" in text
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in text
    assert "<td><code>code</code></td>" in text
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


async def test_another_name_is_refused_and_the_page_system_leads_to_each(console: Served) -> None:
    async with console.session.get(f"{console.base}/api/conformance/hl9") as response:
        assert response.status == 400
    async with console.session.get(f"{console.base}/system", headers={"Accept": "text/html"}) as response:
        text = await response.text()
    assert all(f'href="/api/conformance/{name}"' in text for name in StatementName)
