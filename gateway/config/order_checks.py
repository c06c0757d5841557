"""Section `studies.order_checks`."""

from __future__ import annotations

from typing import Annotated

from gateway.config.fields import OFF_OF_YAML, Section
from gateway.records.order_check import Check, CheckPolicy, Policies

Policy = Annotated[CheckPolicy, OFF_OF_YAML]


class OrderChecks(Section):
    """What follows when a study and its order state something different."""

    patient_id: Policy = CheckPolicy.HOLD
    birth_date: Policy = CheckPolicy.HOLD
    name: Policy = CheckPolicy.WARN
    sex: Policy = CheckPolicy.WARN
    laterality: Policy = CheckPolicy.WARN
    modality: Policy = CheckPolicy.WARN

    @property
    def policies(self) -> Policies:
        """The policy of each check, as the checks take them."""
        return {check: getattr(self, check.value) for check in Check}
