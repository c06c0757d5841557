"""OpenSSL: certificates for tests, and a TLS client that is not ours."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import DEBIAN, found

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")
"""Made in no time; looking for the primes of RSA may take a second, in which the event loop of a test stands still."""


@dataclass(frozen=True)
class Issued:
    """PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority that lives in a folder for the length of a test."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        subject = ("-subj", f"/CN={name}")
        _openssl("req", "-x509", *_NEW_KEY, "-nodes", "-days", "2", *subject,
                 "-keyout", self._key, "-out", self.certificate)  # fmt: skip

    def issue(self, name: str, *, password: str = "") -> Issued:
        """A certificate for a common and DNS name, which is good for localhost too."""
        request, certificate, key = (self._folder / f"{name}.{kind}" for kind in ("csr", "pem", "key"))
        protection = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        _openssl("req", *_NEW_KEY, *protection, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n", encoding="ascii")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-days", "2",
                 "-CAcreateserial", "-extfile", extensions, "-out", certificate)  # fmt: skip
        return Issued(certificate, key)


KINDS = {
    "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "ec": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "short": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
    "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
}


def make_key(path: Path, kind: str, *, password: str = "") -> Path:
    """A private key as PEM (PKCS #8)."""
    protection = ("-aes256", "-pass", f"pass:{password}") if password else ()
    _openssl("genpkey", *KINDS[kind], *protection, "-out", path)
    return path


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(
        [found("openssl", DEBIAN), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


async def s_client(port: int, message: bytes, *options: str | Path) -> bytes:
    """Connect with `openssl s_client`, send an MLLP block, and return what comes back, up to the end of a block.

    Empty when the other side closes without an answer.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, (found("openssl", DEBIAN), "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", *options)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            process.stdin.write(b"\x0b" + message + b"\x1c\x0d")
            return await process.stdout.readuntil(b"\x1c\x0d")
    except asyncio.IncompleteReadError as closed:
        return closed.partial
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
