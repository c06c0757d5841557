"""Certificates that are exchanged while a listener serves, seen by OpenSSL."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.assembly import tls
from gateway.config.hl7 import ListenerTls
from gateway.errors import ConfigError, SettingFault
from tests.peers.openssl import Authority


def _presented(context: ssl.SSLContext, authority: Authority) -> str:
    """The common name of the certificate that a listener with `context` shows."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=authority.certificate)
    server_side = context.wrap_bio(ours, theirs, server_side=True)
    client_side = client.wrap_bio(theirs, ours, server_hostname="localhost")
    for _ in range(10):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown: Any = client_side.getpeercert()
    assert shown is not None
    return str(dict(pair for part in shown["subject"] for pair in part)["commonName"])


def test_a_context_in_use_takes_the_certificate_that_is_in_its_files_now(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    former, latter = authority.issue("former"), authority.issue("latter")
    certificate, key = tmp_path / "in-use.pem", tmp_path / "in-use.key"

    def put(issued_certificate: Path, issued_key: Path) -> None:
        shutil.copy(issued_certificate, certificate)
        shutil.copy(issued_key, key)

    put(former.certificate, former.key)
    context = tls.server_tls(
        ListenerTls(certificate=certificate, key=key), lambda name, text: SettingFault("dicom", f"tls.{name}: {text}")
    )
    assert _presented(context, authority) == "former"
    put(latter.certificate, former.key)
    with pytest.raises(ConfigError, match=r"tls\.certificate.*belong together"):
        tls.check_again()
    assert _presented(context, authority) == "former"
    put(latter.certificate, latter.key)
    tls.check_again()
    tls.load_again()
    assert _presented(context, authority) == "latter"
