"""What a reload puts in force, and what it must not: a new login for an old address."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.assembly import tls
from gateway.assembly.mappings import load_mappings
from gateway.assembly.people import Tokens
from gateway.assembly.reloading import Reloadable, Reloader
from gateway.assembly.system import settings_of
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.hl7 import ListenerTls
from gateway.config.http import Http
from gateway.config.http_receiver import HttpAuth
from gateway.config.tree import Config, Log
from gateway.errors import SettingFault
from gateway.mapping.in_force import MappingsInForce
from gateway.observe import logs
from tests.peers.openssl import Authority

EVERYWHERE = Http(host="0.0.0.0", token="a-token-of-24-characters")


class Site:
    """A configuration in force, and the one that its files say now."""

    def __init__(self, config: Config) -> None:
        self.written = config
        self.tokens = Tokens.of(config)
        parts = Reloadable(MappingsInForce(load_mappings(config)), self.tokens)
        self.reloader = Reloader(config, lambda: self.written, parts, now)


async def test_the_configuration_in_force_has_nothing_that_waits_for_a_restart() -> None:
    site = Site(Config(http=EVERYWHERE))
    site.written = Config(http=Http(host="127.0.0.1", port=1, token="another-token-of-24-chars"), log=Log(level="info"))
    reloaded = await site.reloader.reload()
    assert reloaded.waits_for_restart == ["http.host", "http.port"]
    shown = {setting.key: setting.value for setting in settings_of(site.reloader.config)}
    assert (shown["http.host"], shown["http.port"]) == ("0.0.0.0", "8080")
    assert site.tokens.console.value == "another-token-of-24-chars"


async def test_a_login_is_not_shown_to_the_server_at_a_former_address() -> None:
    former = Ehr(name="main", url="https://old.example.org/fhir", token="old")
    site = Site(Config(ehrs=[former]))
    site.written = Config(ehrs=[former.model_copy(update={"url": "https://new.example.org/fhir", "token": "new"})])
    assert (await site.reloader.reload()).waits_for_restart == ["ehrs"]
    assert site.reloader.config.ehrs == [former]
    site.written = Config(ehrs=[Ehr(name="main", url=former.url, token="new")])
    assert (await site.reloader.reload()).waits_for_restart == []
    assert site.reloader.config.ehrs == site.written.ehrs


async def test_a_certificate_that_goes_away_after_it_was_checked_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Authority(tmp_path).issue("ours")
    files = ListenerTls(certificate=tmp_path / "in-use.pem", key=issued.key)
    shutil.copy(issued.certificate, files.certificate)
    in_use = tls.server_tls(files, lambda name, text: SettingFault("dicom", f"tls.{name}: {text}"))
    site = Site(Config(http=EVERYWHERE))
    site.written = Config(http=Http(token="another-token-of-24-chars"))
    check = tls.check_again

    def checked_and_gone() -> None:
        check()
        files.certificate.unlink()

    monkeypatch.setattr(tls, "check_again", checked_and_gone)
    reloaded = await site.reloader.reload()
    assert "in-use.pem" in reloaded.faults[0]
    assert site.reloader.loaded().faults == reloaded.faults
    assert site.tokens.console.value == EVERYWHERE.token
    del in_use


def test_user_and_password_of_an_address_are_not_shown() -> None:
    auth = HttpAuth(
        kind="client_credentials", client_id="us", client_secret="hush", token_url="https://us:hush@login.example.org/t"
    )
    config = Config(ehrs=[Ehr(name="main", url="https://ehr.example.org/fhir", auth=auth)])
    shown = {setting.key: setting.value for setting in settings_of(config)}
    assert shown["ehrs[main].auth.token_url"] == "https://(not shown)@login.example.org/t"
    assert "hush" not in " ".join(shown.values())


@pytest.fixture(autouse=True)
def _level_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "set_level", lambda level: None)
