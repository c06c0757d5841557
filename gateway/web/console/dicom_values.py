"""Values of DICOM for people: names, days and times as they are read aloud."""

from __future__ import annotations


def person(name: str) -> str:
    """PN -> `Muster, Erika`; other component groups behind it."""
    groups = []
    for group in name.split("="):
        family, _, rest = group.partition("^")
        groups.append(", ".join(filter(None, (family.strip(), " ".join(rest.replace("^", " ").split())))))
    return " / ".join(filter(None, groups))


def day(written: str) -> str:
    """DA -> `2026-01-05`; what is not of its shape stays as it is."""
    return f"{written[:4]}-{written[4:6]}-{written[6:]}" if len(written) == 8 and written.isdigit() else written


def clock(written: str) -> str:
    """TM -> `10:30`; what is not of its shape stays as it is."""
    return f"{written[:2]}:{written[2:4]}" if len(written) >= 4 and written[:4].isdigit() else written
