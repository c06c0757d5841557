"""The erasure of a patient: what is looked for, and what was deleted and left."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from gateway.records.patient import Identity

SHORTEST: int = 4
"""Characters of a number that is looked for in the bytes of rows and files: shorter ones are everywhere."""


def new_pseudonym() -> str:
    """By which an erased patient is named in what is kept. By chance: of a digest whoever tries all numbers would learn
    the number."""
    return f"erased-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Targets:
    """By what the rows of a patient are known. Kept while an erasure goes on, and forgotten at its end."""

    patients: tuple[int, ...] = ()
    """Rows of all identities that are one patient."""
    identities: tuple[Identity, ...] = ()
    names: tuple[str, ...] = ()
    """Patient's Name, as orders have it."""
    numbers: tuple[str, ...] = ()
    """Accession numbers and order numbers."""
    accession_numbers: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    """Study Instance UIDs, and SOP Instance UIDs of performed steps."""
    is_alone: bool = True
    """No other patient has one of the Patient IDs, from whatever issuer."""
    pseudonym: str = field(default_factory=new_pseudonym)

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Without their issuers, each once."""
        return tuple(dict.fromkeys(one.patient_id for one in self.identities if one.patient_id))

    @property
    def needles(self) -> tuple[str, ...]:
        """What must be nowhere any more: each long enough to be looked for in bytes."""
        every = (*(self.patient_ids if self.is_alone else ()), *self.numbers, *self.uids)
        return tuple(dict.fromkeys(one for one in every if len(one) >= SHORTEST))

    def as_json(self) -> dict[str, Any]:
        """The form that the database keeps."""
        return asdict(self) | {"identities": [[one.patient_id, one.issuer] for one in self.identities]}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """The targets that `as_json` wrote."""
        return cls(
            tuple(kept["patients"]), tuple(Identity(*one) for one in kept["identities"]), tuple(kept["names"]),
            tuple(kept["numbers"]), tuple(kept["accession_numbers"]), tuple(kept["uids"]), bool(kept["is_alone"]),
            kept["pseudonym"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outside:
    """What is out of reach of an erasure here, and what a person does about it."""

    what: str
    cure: str


@dataclass(slots=True)
class Proof:
    """What a search of all tables and files has shown."""

    rows_read: int = 0
    tables: int = 0
    left: list[str] = field(default_factory=list)
    """Rows that still name the patient, as `table id column`; the first of them."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Table -> rows that name the patient and are kept on purpose."""
    files: dict[str, int] = field(default_factory=dict)
    """File -> places where bytes of the patient stand, beyond those of rows that are kept."""

    @property
    def is_clean(self) -> bool:
        """Nothing is left but what is kept on purpose."""
        return not self.left and not any(self.files.values())
