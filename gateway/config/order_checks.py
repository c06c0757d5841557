"""Section `studies.order_checks`."""

from __future__ import annotations

from gateway.config.fields import Section
from gateway.records.order_check import Check, CheckPolicy, Policies


class OrderChecks(Section):
    """What follows when a study and its order state something different."""

    patient_id: CheckPolicy = CheckPolicy.HOLD
    birth_date: CheckPolicy = CheckPolicy.HOLD
    name: CheckPolicy = CheckPolicy.WARN
    sex: CheckPolicy = CheckPolicy.WARN
    laterality: CheckPolicy = CheckPolicy.WARN
    modality: CheckPolicy = CheckPolicy.WARN

    @property
    def policies(self) -> Policies:
        """The policy of each check, as the checks take them."""
        return {check: getattr(self, check.value) for check in Check}
