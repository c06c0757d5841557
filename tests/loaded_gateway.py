"""Loads what the gateway's commands import when they run, for the processes that `tests.commands` forks."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import gateway.cli
from gateway.wire.fhir.validation import warm_up

for package in ("assembly", "operations", "simulators"):
    for module in pkgutil.walk_packages([f"{gateway.cli.__path__[0]}/../{package}"], f"gateway.{package}."):
        importlib.import_module(module.name)
warm_up()
gc.freeze()
