"""What the page System shows and does: the configuration in force, the checks, a reload."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from gateway.assembly.checks import check
from gateway.assembly.mappings import load_mappings
from gateway.assembly.processes.place import ProcessPlace
from gateway.assembly.reloading import Reloader, reload_all
from gateway.config.tree import Config
from gateway.operations.check import CheckFinding
from gateway.operations.conformance.sections import Statement, StatementName
from gateway.operations.system import Setting, System

_USER_OF_URL: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def system_of(config: Config, reloader: Reloader, place: ProcessPlace) -> System:
    """The tools for a gateway that serves by `config`."""

    async def look() -> list[CheckFinding]:
        # Mappings are read, which takes a third of a second.
        return await asyncio.to_thread(lambda: asyncio.run(check(reloader.config, offline=True)))

    def stated(name: StatementName) -> Statement:
        # Only who asks for a statement waits for the tables of the three standards.
        from gateway.assembly.conformance.statements import STATEMENTS

        return STATEMENTS[name](reloader.config, load_mappings(reloader.config))

    async def statement(name: StatementName) -> Statement:
        return await asyncio.to_thread(stated, name)

    return System(partial(reload_all, reloader, place), lambda: list(settings_of(reloader.config)), look, statement)


def settings_of(section: BaseModel, path: str = "") -> Iterator[Setting]:
    """Each key with its value, in the order of the configuration; of a secret only whether there is one."""
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{path}{name}"
        if not field.repr:
            yield Setting(key, "(set, not shown)" if value else "")
        else:
            yield from _of_value(value, key)


def _of_value(value: Any, key: str) -> Iterator[Setting]:
    if isinstance(value, BaseModel):
        yield from settings_of(value, f"{key}.")
    elif isinstance(value, list) and any(isinstance(one, BaseModel) for one in value):
        for number, one in enumerate(value):
            yield from settings_of(one, f"{key}[{getattr(one, 'name', '') or number}].")
    elif isinstance(value, list | dict):
        shown = [f"{one}: {value[one]}" for one in value] if isinstance(value, dict) else [str(one) for one in value]
        yield Setting(key, ", ".join(shown))
    else:
        # User and password of an address, such as that of a token endpoint.
        yield Setting(key, "" if value is None else _USER_OF_URL.sub("(not shown)", str(value)))
