"""Numbers of database rows, each of its own type: a patient's number in place of an order's is a fault of types."""

from __future__ import annotations

from typing import NewType

PatientRow = NewType("PatientRow", int)
OrderRow = NewType("OrderRow", int)
ProcedureRow = NewType("ProcedureRow", int)
StepRow = NewType("StepRow", int)
PerformedStepRow = NewType("PerformedStepRow", int)
MessageRow = NewType("MessageRow", int)
StudyRow = NewType("StudyRow", int)
WorkRow = NewType("WorkRow", int)
"""Of the outbox."""
UserRow = NewType("UserRow", int)
TokenRow = NewType("TokenRow", int)
