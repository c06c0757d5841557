"""Kinds of values that several sections share, and the base of all sections."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from gateway.wire.charsets import is_known

Port = Annotated[int, Field(ge=0, le=65535, description="0 lets the system choose a free port")]

AETitle = Annotated[str, Field(pattern=r"^[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")]

_TEN_YEARS = 315_360_000

Seconds = Annotated[float, Field(gt=0, le=_TEN_YEARS, allow_inf_nan=False)]

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _hours(written: str) -> str:
    if not _HOURS.fullmatch(written):
        raise ValueError(f"{written!r} is no begin and end of the day such as 22:00-05:00")
    return written


Hours = Annotated[str, AfterValidator(_hours)]
"""Begin and end by the site's clock, such as 22:00-05:00."""

SecondsOrNone = Annotated[float, Field(ge=0, le=_TEN_YEARS, allow_inf_nan=False)]
"""0 switches the wait off."""

OFF_OF_YAML = BeforeValidator(lambda value: "off" if value is False else value)
"""A bare `off` is a boolean to YAML 1.1."""

OffOrWrite = Annotated[Literal["off", "write"], OFF_OF_YAML]

StepStateName = Annotated[
    str, Field(pattern="^(SCHEDULED|ARRIVED|READY|HELD|STARTED|COMPLETED|DISCONTINUED|CANCELED)$")
]


def _known_charset(value: str) -> str:
    if value and not is_known(value):
        raise ValueError(
            f"unknown character set {value!r}; use a name of HL7 table 0211 such as 8859/1 or windows-1252"
        )
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is neither an address nor a network such as 10.1.0.0/16") from None
    return value


Charset = Annotated[str, AfterValidator(_known_charset)]

Network = Annotated[str, AfterValidator(_network)]

MessageType = Annotated[str, Field(pattern=r"^[A-Z]{3}(\^[A-Z0-9]{3})?$")]


URI = re.compile(r"^(urn:[a-z0-9][a-z0-9-]+:|https?://)\S+$")


class Wrong:
    """Stands for a value with a fault that shows before its key is read, so that the fault is reported at its key and
    the other faults of the section are reported as well."""

    def __init__(self, why: str) -> None:
        self.why = why


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        """`password_file: /run/secrets/x` fills `password` with the file's first line."""
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        for key in [k for k in data if isinstance(k, str) and k.endswith("_file")]:
            target = key.removesuffix("_file")
            if target in cls.model_fields and key not in cls.model_fields:
                path = filled.pop(key)
                if path is not None:
                    filled[target] = Wrong(f"both {target} and {key} are given") if data.get(target) else _secret(path)
        return filled

    @field_validator("*", mode="before")
    @classmethod
    def _tell_what_is_wrong(cls, value: Any) -> Any:
        if isinstance(value, Wrong):
            raise ValueError(value.why)
        return value


def _secret(path: Any) -> str | Wrong:
    try:
        lines = Path(str(path)).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return Wrong(f"cannot read a secret from {path} ({error.strerror})")
    except UnicodeDecodeError:
        return Wrong(f"cannot read a secret from {path} (not UTF-8)")
    first = lines[0].strip() if lines else ""
    return first or Wrong(f"cannot read a secret from {path} (its first line is empty)")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def mark_doubled(entries: Any) -> Any:
    """Marks the name of each entry that an earlier one has."""
    if not isinstance(entries, list):
        return entries
    seen: set[Any] = set()
    marked = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else getattr(entry, "name", None)
        if isinstance(name, str) and name in seen:
            fault = f"the name {name} stands twice"
            if not isinstance(entry, dict):
                raise ValueError(fault)
            entry = entry | {"name": Wrong(fault)}
        elif isinstance(name, str):
            seen.add(name)
        marked.append(entry)
    return marked


HttpUrl = Annotated[str, Field(pattern=r"^https?://\S+$")]
