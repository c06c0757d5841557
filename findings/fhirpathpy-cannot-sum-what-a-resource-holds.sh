#!/bin/sh
# The Python package fhirpathpy 2.2.4 and arithmetic of FHIRPath 2.0.
#
# Guess before the run: `series.numberOfInstances.sum()` of an ImagingStudy is the number of its instances; `mod` is the
# remainder of the truncated division (`div`), so that `5 mod -3` is 2, as fhirpath.js 5.2.2 has it.
# Seen: sum(), avg(), min() and max() take literals, and raise TypeError for the elements of a resource, where they are
# wanted; `.select($this + 0)` before them helps. `div` truncates and `mod` floors: `(-5) div 2` is -2, `(-5) mod 3` is 1,
# so that a = (a div b) * b + (a mod b), which holds with either convention, does not hold.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv environment
environment/bin/pip install --quiet --disable-pip-version-check fhirpathpy==2.2.4
cat > arithmetic.py <<'PYTHON'
from fhirpathpy import evaluate

study = {"resourceType": "ImagingStudy", "series": [{"numberOfInstances": 3}, {"numberOfInstances": 2}]}
counts = "series.numberOfInstances"
for path in (
    *(f"{counts}.{name}()" for name in ("sum", "avg", "min", "max")),
    f"{counts}.select($this + 0).sum()", "(3 | 2).sum()",
    "(-5) div 3", "(-5) mod 3", "((-5) div 3) * 3 + ((-5) mod 3)", "5 mod -3",
):
    try:
        outcome = str(evaluate(study, path, {}))
    except TypeError as error:
        outcome = f"TypeError: {error}"
    print(f"{path} -> {outcome}")
PYTHON
environment/bin/python arithmetic.py | tee seen
diff - seen <<'EXPECTED'
series.numberOfInstances.sum() -> TypeError: unsupported operand type(s) for +: 'int' and 'ResourceNode'
series.numberOfInstances.avg() -> TypeError: unsupported operand type(s) for +: 'int' and 'ResourceNode'
series.numberOfInstances.min() -> TypeError: '<' not supported between instances of 'ResourceNode' and 'ResourceNode'
series.numberOfInstances.max() -> TypeError: '>' not supported between instances of 'ResourceNode' and 'ResourceNode'
series.numberOfInstances.select($this + 0).sum() -> [5]
(3 | 2).sum() -> [5]
(-5) div 3 -> [-1]
(-5) mod 3 -> [1]
((-5) div 3) * 3 + ((-5) mod 3) -> [-2]
5 mod -3 -> [-1]
EXPECTED
