"""Loads what the commands of the gateway import when they run, and serves once, for the processes that `tests.commands`
forks: of what a gateway makes when it first starts they have all that does not depend on its configuration."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import pkgutil
import shutil
import tempfile

import gateway.cli
from gateway.assembly.process import running
from gateway.wire.fhir.validation import faults_of_imaging_study
from tests import compiled_pages, compiled_statements, made_tables
from tests.journey.running import config_of

for package in ("assembly", "operations", "simulators"):
    for module in pkgutil.walk_packages([f"{gateway.cli.__path__[0]}/../{package}"], f"gateway.{package}."):
        importlib.import_module(module.name)
# Loads and builds the models of FHIR.
faults_of_imaging_study({"resourceType": "ImagingStudy"})
compiled_statements.share()
compiled_pages.load()


async def _serve_once() -> None:
    # The environment is that of the test which was the first to need a command; each command is given its own.
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(made_tables.sqlite_file(), f"{folder}/gateway.db")
        async with running(config_of(f"sqlite:///{folder}/gateway.db")):
            pass


asyncio.run(_serve_once())
gc.freeze()
