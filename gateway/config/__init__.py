"""`gateway.yaml` as a frozen tree: one module for each section, read by `load`."""

from __future__ import annotations
