"""Relative paths of a configuration file: they mean the folder of the file, wherever a command is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel

_SQLITE: Final = "sqlite:///"


def rooted(data: Mapping[str, Any], model: type[BaseModel], folder: Path) -> dict[str, Any]:
    """`data` of a section `model`, with its relative paths below `folder`. What is no path, or has a fault, stays."""
    return {key: _value(key, value, model, folder) for key, value in data.items()}


def _value(key: str, value: Any, model: type[BaseModel], folder: Path) -> Any:
    if not isinstance(key, str) or (key not in model.model_fields and not key.endswith("_file")):
        return value
    inside = list(_kinds(model.model_fields[key].annotation)) if key in model.model_fields else [Path]
    sections = [kind for kind in inside if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if isinstance(value, dict) and sections:
        return rooted(value, sections[0], folder)
    if isinstance(value, list):
        return [rooted(one, sections[0], folder) if isinstance(one, dict) and sections else
                _path(one, folder) if Path in inside else one for one in value]  # fmt: skip
    if isinstance(value, str) and value.startswith(_SQLITE):
        return _sqlite(value, folder)
    return _path(value, folder) if Path in inside else value


def _path(value: Any, folder: Path) -> Any:
    return str(folder / value) if isinstance(value, str) and value else value


def _sqlite(url: str, folder: Path) -> str:
    file = url.removeprefix(_SQLITE)
    return url if not file or file.startswith(("/", ":", "?")) else f"{_SQLITE}{folder / file}"


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types of which an annotation is made: `list[Path] | None` -> list, Path, None."""
    yield annotation
    for one in get_args(annotation):
        yield from _kinds(one)
