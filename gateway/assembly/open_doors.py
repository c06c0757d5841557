"""What of a configuration is open to others than those it is for: notes of `gateway check`, no reason not to start."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from gateway.assembly.listening_ports import key_of_listener
from gateway.assembly.state import setup_of
from gateway.config.fields import is_loopback
from gateway.config.tree import Config
from gateway.operations.check import CheckFinding
from gateway.operations.state.certificates import certificate_parts
from gateway.operations.state.part import Level

SHORT_TOKEN: Final = 20
"""Characters: a shorter token can be tried out."""


def open_doors(config: Config, file: Path | None, now: int) -> Iterator[CheckFinding]:
    """A note for each. `file`: of the configuration; `now`: microseconds, by which certificates expire."""
    notes = (
        *_listeners(config), *_http(config), *_scanners(config), *_tokens(config), *_ehrs(config), *_file(config, file),
        *_certificates(config, now),
    )  # fmt: skip
    yield from (CheckFinding(what, True, detail, warning=True) for what, detail in notes)


def _listeners(config: Config) -> Iterator[tuple[str, str]]:
    for listener in config.hl7.listeners:
        if is_loopback(listener.host):
            continue
        what = key_of_listener(listener.name)
        if listener.tls is None:
            yield what, f"takes messages on {listener.host} without TLS: anybody on the way can read them"
        if not listener.allowed_addresses and not listener.allowed_certificates:
            yield what, f"takes messages on {listener.host} from any address; name the senders in allowed_addresses"


def _http(config: Config) -> Iterator[tuple[str, str]]:
    http = config.http
    if not is_loopback(http.host) and http.tls is None and not http.behind_proxy:
        yield (
            "http",
            f"passwords and patients' data pass {http.host} unencrypted; set tls, or name the proxy in behind_proxy",
        )


def _scanners(config: Config) -> Iterator[tuple[str, str]]:
    dicom = config.dicom
    if is_loopback(dicom.host):
        return
    if not dicom.peers and not dicom.allowed_calling_aes:
        yield "dicom.peers", "none: every AE title is served, from any address"
        return
    titles = {one.ae_title for one in dicom.peers if one.allowed_addresses or one.allowed_certificates or one.passcode}
    named = dict.fromkeys((*dicom.allowed_calling_aes, *(one.ae_title for one in dicom.peers)))
    if anywhere := [title for title in named if title not in titles]:
        yield "dicom.peers", f"served from any address: {', '.join(anywhere)}; name theirs in allowed_addresses"


def _tokens(config: Config) -> Iterator[tuple[str, str]]:
    for key, token in (("http.token", config.http.token), ("facade.token", config.facade.token)):
        if token and len(token) < SHORT_TOKEN:
            yield key, f"has {len(token)} characters; below {SHORT_TOKEN} it can be tried out"


def _ehrs(config: Config) -> Iterator[tuple[str, str]]:
    """A password or token, and patients' data, that anybody on the way can read."""
    for ehr in config.ehrs:
        for url in dict.fromkeys((ehr.url, (ehr.auth.token_url if ehr.auth else None) or "")):
            host = urlsplit(url).hostname or ""
            if url.startswith("http://") and not is_loopback(host):
                login = f"{ehr.auth.kind}: " if ehr.auth and ehr.auth.kind != "none" else ""
                yield f"ehrs {ehr.name}", f"{login}{host} is reached without TLS"


def _file(config: Config, file: Path | None) -> Iterator[tuple[str, str]]:
    if file is None:
        return
    mode = file.stat().st_mode
    if mode & stat.S_IROTH and any(_secrets(config)):
        yield (
            str(file),
            (f"may hold secrets, and every user of this machine can read it (mode {stat.S_IMODE(mode):o}): chmod o-r"),
        )


def _secrets(section: BaseModel) -> Iterator[Any]:
    """The secrets that are set."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        inside = value if isinstance(value, list) else [value]
        if not field.repr and name != "url" and value:
            yield value
        yield from (one for part in inside if isinstance(part, BaseModel) for one in _secrets(part))


def _certificates(config: Config, now: int) -> Iterator[tuple[str, str]]:
    for part in certificate_parts(setup_of(config).certificates, now):
        if part.level is not Level.GOOD:
            yield part.name, part.detail
