"""How the files that the process may open are shared."""

from __future__ import annotations

import logging
import resource

import pytest

from gateway.assembly import shares
from gateway.assembly.shares import http_share, of_address, warn_of_want
from gateway.config.http import Http
from gateway.config.tree import Config
from tests.commands import FORKS


def _raise() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
    assert shares.limit() == 256
    assert shares.raise_limit() == shares.limit() == 512
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, 512)


def test_the_limit_of_the_process_is_raised_to_the_hard_one() -> None:
    process = FORKS.Process(target=_raise)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize(("most", "stated", "same"), [(1, None, 1), (2, None, 2), (256, None, 192), (256, 256, 256)])
def test_one_address_has_three_quarters_or_what_the_site_states(most: int, stated: int | None, same: int) -> None:
    assert of_address(most, stated) == same


@pytest.mark.parametrize(
    ("descriptors", "connections", "below"), [(1024, 256, 768), (64, 16, 48), (1_048_576, 1000, 1_048_576 - 712)]
)
def test_http_has_a_quarter_at_most(descriptors: int, connections: int, below: int) -> None:
    assert http_share(Config(http=Http(max_connections=1000)), descriptors) == (connections, below)


def test_too_few_files_for_what_the_configuration_allows_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_want(Config(), 1024)
        assert not caplog.records
        warn_of_want(Config(), 800)
    assert "800 files may be open, and hl7.listeners and dicom allow for 840" in caplog.text
