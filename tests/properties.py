"""How many examples a property is tried with: a few in the suite, the same each time, and many in `make properties`."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis.internal.conjecture import providers

MANY = os.environ.get("PROPERTIES")

settings.register_profile("suite", max_examples=int(MANY or 25), derandomize=MANY is None, deadline=None)
settings.load_profile("suite")
if MANY is None:
    # Hypothesis also tries what stands in the modules that are loaded: to gather that takes a worker a second of CPU,
    # and which examples are tried would hang on what else is run.
    providers._get_local_constants = lambda: providers._local_constants
