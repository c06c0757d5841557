"""Section `studies.order_checks`."""

from __future__ import annotations

from typing import Annotated

from gateway.config.fields import OFF_OF_YAML, Section
from gateway.records.order_check import DEFAULTS, Check, CheckPolicy, Policies

Policy = Annotated[CheckPolicy, OFF_OF_YAML]


class OrderChecks(Section):
    """What follows when a study and its order state something different."""

    patient_id: Policy = DEFAULTS[Check.PATIENT_ID]
    birth_date: Policy = DEFAULTS[Check.BIRTH_DATE]
    name: Policy = DEFAULTS[Check.NAME]
    sex: Policy = DEFAULTS[Check.SEX]
    laterality: Policy = DEFAULTS[Check.LATERALITY]
    modality: Policy = DEFAULTS[Check.MODALITY]

    @property
    def policies(self) -> Policies:
        """The policy of each check, as the checks take them."""
        return {check: getattr(self, check.value) for check in Check}
