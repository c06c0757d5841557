"""Runs commands of the gateway, each in a process that has loaded nothing of the gateway before.

    python -m tests.cli.loading COMMANDS     COMMANDS: a JSON array of arrays of arguments

Prints a JSON array of [exit code, what the command wrote to either stream]. The libraries of others, which take most
of the time of loading, are loaded once.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
import traceback

import aiohttp
import alembic
import argon2
import jinja2
import joserfc
import orjson
import prometheus_client
import pydantic_settings
import pydicom
import pynetdicom
import sqlalchemy
import structlog
import typer
import yaml

__all__ = [
    "aiohttp", "alembic", "argon2", "jinja2", "joserfc", "orjson", "prometheus_client", "pydantic_settings", "pydicom",
    "pynetdicom", "sqlalchemy", "structlog", "typer", "yaml",
]  # fmt: skip


def run(arguments: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as written:
        if (child := os.fork()) == 0:
            os._exit(_be(arguments, written.fileno()))
        _, status = os.waitpid(child, 0)
        written.seek(0)
        return os.waitstatus_to_exitcode(status), written.read().decode()


def _be(arguments: list[str], descriptor: int) -> int:
    """`python -m gateway ARGUMENTS`; the exit code."""
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    sys.argv = ["gateway", *arguments]
    try:
        runpy.run_module("gateway", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    loaded = [name for name in sys.modules if name.partition(".")[0] == "gateway"]
    assert loaded == [], loaded
    json.dump([run(one) for one in json.loads(sys.argv[1])], sys.stdout)
