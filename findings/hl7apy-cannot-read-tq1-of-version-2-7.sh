#!/bin/sh
# hl7apy 1.3.5 and a TQ1 segment (timing of an order) in messages of HL7 2.5 to 2.8.2.
#
# Guess before the run: TQ1-1 (Set ID), an SI in each version, is read in each version.
# Seen: in version 2.7 alone TQ1-1 raises "TypeError: 'NoneType' object is not iterable", at every validation level, and
# a TQ1 whose TQ1-1 is empty is read. Of the 2,518 fields that the library has for 2.7, TQ1-1 is the only one that cannot
# be made.
# For whoever receives orders: an OMI^O23 or OMG^O19 of 2.7 with a timing segment, as the standard has it, cannot be read,
# and the error is none of hl7apy's own exceptions.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check hl7apy==1.3.5
cat > fields.py <<'PYTHON'
from hl7apy import load_library
from hl7apy.core import Field
from hl7apy.parser import parse_segment

for version in ("2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"):
    for text in ("TQ1|1||||||20260102", "TQ1|||||||20260102"):
        try:
            outcome = parse_segment(text, version=version).to_er7()
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        print(f"{version} {text} -> {outcome}")

unmade = []
for name in load_library("2.7").FIELDS:
    try:
        Field(name, version="2.7")
    except TypeError:
        unmade.append(name)
print(f"2.7: {len(load_library('2.7').FIELDS)} fields, not made: {unmade}")
PYTHON
environment/bin/python fields.py | tee seen
diff - seen <<'EXPECTED'
2.5 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.5 TQ1|||||||20260102 -> TQ1|||||||20260102
2.5.1 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.5.1 TQ1|||||||20260102 -> TQ1|||||||20260102
2.6 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.6 TQ1|||||||20260102 -> TQ1|||||||20260102
2.7 TQ1|1||||||20260102 -> TypeError: 'NoneType' object is not iterable
2.7 TQ1|||||||20260102 -> TQ1|||||||20260102
2.8 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.8 TQ1|||||||20260102 -> TQ1|||||||20260102
2.8.1 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.8.1 TQ1|||||||20260102 -> TQ1|||||||20260102
2.8.2 TQ1|1||||||20260102 -> TQ1|1||||||20260102
2.8.2 TQ1|||||||20260102 -> TQ1|||||||20260102
2.7: 2518 fields, not made: ['TQ1_1']
EXPECTED
