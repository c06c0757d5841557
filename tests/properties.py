"""How many examples a property is tried with: a few in the suite, the same each time, and many in `make properties`."""

from __future__ import annotations

import os

from hypothesis import settings

MANY = os.environ.get("PROPERTIES")

settings.register_profile("suite", max_examples=int(MANY or 25), derandomize=MANY is None, deadline=None)
settings.load_profile("suite")
