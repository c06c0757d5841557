"""What the gateway calls itself in DICOM associations (PS3.7 D.3.3.2)."""

from __future__ import annotations

from gateway.config.tree import Config
from gateway.mapping.identifiers import derived_uid


def implementation_uid(config: Config) -> str:
    """Implementation Class UID, under the site's own root where it has one."""
    root = config.site.uid_root
    return derived_uid("implementation") if root == "2.25" else f"{root}.1"
