"""Reading the configuration file, and saying where a fault stands: its line, or the variable of the environment."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from gateway import yaml_bounds
from gateway.errors import ConfigError

Location = tuple[str | int, ...]
"""Keys and indexes from the root, as pydantic gives them."""

SECRETS: Final = (("token",), ("url",), ("password",), ("client_secret",), ("key_password",), ("proxy",))
"""Keys whose values are never shown."""


WANTED: Final = {
    "ae_title": "is not an AE title: at most 16 ASCII characters, no backslash, no space at either end",
    "name": "is not a name: 1 to 64 letters, digits, _ . -",
    "url": "must begin with http:// or https:// and hold no space",
    "token_url": "must begin with http:// or https:// and hold no space",
    "jwks_url": "must begin with http:// or https:// and hold no space",
    "proxy": "must begin with http:// and hold no space",
    "hours": "write two times of day in quotes, such as '22:00-05:00'",
    "hidden_states": "is not a state: SCHEDULED, ARRIVED, READY, HELD, STARTED, COMPLETED, DISCONTINUED or CANCELED",
}
"""Key -> what to say of a text that is not of its pattern."""
AE_TITLES: Final = ("ae_title", "allowed_calling_aes", "station_aes")
SHAPES: Final = {
    "dict_type": "write keys below it, each on a line of its own",
    "model_type": "write keys below it, each on a line of its own",
    "model_attributes_type": "write keys below it, each on a line of its own",
    "string_type": "write a text, in quotes if it looks like a number",
}
"""Pydantic's kind of error -> what to write instead."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file as it was read."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    """The line on which each key and entry stands."""
    faults: list[str] = field(default_factory=list)


def read(path: Path) -> Source:
    """Read the YAML file at `path`. Raises `ConfigError` when it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        yaml_bounds.check(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        loaded = yaml.safe_load(text)
        lines: dict[Location, int] = {}
        if root is not None:
            _note_lines(root, (), lines)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 (byte {error.start})"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([_not_yaml(path, error)]) from error
    if loaded is not None and not isinstance(loaded, dict):
        raise ConfigError([f"{path}:1: the file must hold keys such as 'site:' and 'hl7:'"])
    data = {str(key): value for key, value in (loaded or {}).items() if value is not None}
    doubled = [f"{path}:{line}: {key}: stands twice" for key, line in _doubled_keys(root)] if root else []
    return Source(str(path), data, lines, doubled)


def _not_yaml(path: Path, error: yaml.YAMLError | ValueError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{path}:{mark.line + 1}" if mark else f"{path}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{place}: not valid YAML: the character U+{error.character:04X} is not allowed"
    if isinstance(error, yaml_bounds.BeyondBounds):
        return f"{place}: {error.problem}"
    return f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}"


def not_json(error: SettingsError) -> str:
    """Which variable holds no JSON, where a list or section is wanted."""
    found = re.search(r'field "(\w+)"', str(error))
    prefix = f"GATEWAY_{found[1]}".upper() if found else "GATEWAY_"
    suspects = [key for key in sorted(os.environ) if key.upper().startswith(prefix) and not _is_json(os.environ[key])]
    looks = [key for key in suspects if os.environ[key].lstrip()[:1] in ("[", "{")] or suspects
    return f'environment {", ".join(looks)}: not valid JSON; a list is written as \'["A", "B"]\''


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _note_lines(node: yaml.Node, path: Location, lines: dict[Location, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, key.value)] = key.start_mark.line + 1
            _note_lines(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*path, index), lines)


def _doubled_keys(node: yaml.Node, path: str = "") -> Iterable[tuple[str, int]]:
    """(key, line) of each key that an earlier one of the same mapping has."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = f"{path}.{key.value}".lstrip(".")
            if key.value in seen:
                yield here, key.start_mark.line + 1
            seen.add(key.value)
            yield from _doubled_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _doubled_keys(value, path)


def fault(root: type[BaseModel], source: Source, error: ErrorDetails) -> str:
    """One line that names the place of a fault, the key and what is wrong; `root` is the tree of settings."""
    location, message, kind, given = error["loc"], error["msg"], error["type"], error.get("input")
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        message = "no such key" + _suggestion(root, location)
    else:
        message = _in_words(kind, location, given) or message
    if (
        kind not in ("value_error", "missing", "extra_forbidden", "list_type")
        and isinstance(given, (str, int, float, bool))
        and location[-1:] not in SECRETS
    ):
        message = f"{message} (it is {given!r})"
    message = message.removeprefix("Value error, ")
    place = _environment_of(location) or _line_of(source, location)
    return f"{place}: {key}: {message}" if key else f"{place}: {message}"


def _in_words(kind: str, location: Location, given: Any) -> str:
    """What is wanted, for those faults whose pydantic text says it in a programmer's words; else empty."""
    key = next((part for part in reversed(location) if isinstance(part, str)), "")
    if kind == "string_pattern_mismatch":
        return WANTED.get("ae_title" if key in AE_TITLES else key, "")
    if kind == "list_type":
        plain = isinstance(given, (str, int, float)) and location[-1:] not in SECRETS
        return f"write a list: [{given}]" if plain else "write a list: each entry on a line that begins with '- '"
    return SHAPES.get(kind, "")


def _environment_of(location: Location) -> str:
    """The variable that gave the value at `location`, which then goes before the file; empty if none did."""
    given = {key.upper(): key for key in os.environ}
    for depth in range(len(location), 0, -1):
        key = "GATEWAY_" + "__".join(str(part) for part in location[:depth]).upper()
        for variable in (key, f"{key}_FILE"):
            if variable in given:
                return f"environment {given[variable]}"
    return ""


def _line_of(source: Source, location: Location) -> str:
    """`file:line` of the nearest key that stands in the file, or of the `_file` that fills it."""
    for depth in range(len(location), 0, -1):
        here = location[:depth]
        for key in (here, (*here[:-1], f"{here[-1]}_file")):
            if key in source.lines:
                return f"{source.name}:{source.lines[key]}"
    return source.name


def _suggestion(root: type[BaseModel], location: Location) -> str:
    model: Any = root
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        inner = getattr(annotation, "__args__", (annotation,))
        model = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if model is None:
            return ""
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"
