"""A real identity provider: oidc-provider, in Node (`oidc/provider.mjs`), and a person who logs in there."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession

from tests.peers.process import end, found, missing

_PROGRAM = Path(__file__).parent / "oidc" / "provider.mjs"
MOST_STEPS = 12


@contextmanager
def identity_provider(gateway: str, *, claims_in_id_token: bool = False) -> Iterator[str]:
    """The issuer of a provider that knows a gateway at the address `gateway`, with the clients `gateway` and `other`.

    `claims_in_id_token`: it writes them into the ID token; else its answer about the user has them.
    """
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("the identity provider", "make peers")
    process = subprocess.Popen(
        [node, _PROGRAM, f"{gateway}/login/oidc/callback", f"{gateway}/login"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "CLAIMS_OF_USERINFO": "0" if claims_in_id_token else "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        assert "listening on " in line, "the identity provider ended before it was ready"
        yield line.split("listening on ")[1].strip()
    finally:
        end(process)


def secret_of(client: str) -> str:
    """The client secret of `gateway` or `other`."""
    return f"{client}-secret-of-32-characters-and-more"


async def log_in_there(session: ClientSession, address: str, person: str, back: str) -> str:
    """Log in at the provider and consent, as a browser does; the address below `back` to which it then leads."""
    fields: dict[str, str] | None = None
    for _ in range(MOST_STEPS):
        method = "GET" if fields is None else "POST"
        async with session.request(method, address, data=fields, allow_redirects=False) as answer:
            text = await answer.text()
            location = answer.headers.get("Location", "")
        if location.startswith(back):
            return location
        if location:
            address, fields = str(answer.url.join(answer.url.__class__(location))), None
            continue
        form = re.search(r'<form[^>]*action="([^"]+)"', text)
        assert form, text
        address = html.unescape(form[1])
        prompt = re.search(r'name="prompt" value="(\w+)"', text)
        fields = {"prompt": prompt[1] if prompt else "login", "login": person, "password": "any"}
    raise AssertionError("the provider does not come to an end")
