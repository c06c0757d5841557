"""Section `retention`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from gateway.config.fields import Hours, Section
from gateway.records.retention import Ages, RetentionKind

Days = Annotated[int, Field(ge=1, le=36_500)]
"""Up to a hundred years."""


class RetentionSection(Section):
    """Ages in days; what has none is kept."""

    queries_days: Days | None = None
    refusals_days: Days | None = None
    work_days: Days | None = None
    studies_days: Days | None = None
    performed_steps_days: Days | None = None
    orders_days: Days | None = None
    open_orders_days: Days | None = None
    """After which an order that never ended counts as forgotten."""
    messages_days: Days | None = None
    audit_days: Days | None = None
    hours: Hours | None = None
    """When rows are deleted; None: at any time."""

    @model_validator(mode="after")
    def _open_orders_are_orders(self) -> RetentionSection:
        if (
            self.open_orders_days is not None
            and (self.orders_days or self.open_orders_days + 1) > self.open_orders_days
        ):
            raise ValueError("open_orders_days needs orders_days, which must not be more")
        return self

    @property
    def ages(self) -> Ages:
        """The ages as the rules take them."""
        days = {kind: getattr(self, key) for kind, key in _KEYS.items()}
        return Ages({kind: one for kind, one in days.items() if one is not None}, self.open_orders_days)


_KEYS: Final = {kind: f"{kind.value}_days" for kind in RetentionKind if kind is not RetentionKind.PATIENTS}
