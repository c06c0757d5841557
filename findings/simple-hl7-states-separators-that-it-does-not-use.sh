#!/bin/sh
# The npm package simple-hl7 3.3.0 and a message whose MSH-2 states `$` as component separator.
#
# Guess before the run: MSH-2 is read, as HL7 v2 chapter 2 has it: PID-5.1 of `DOE$JANE` is `DOE`; a message that is
# written again states in MSH-2 the separators that it uses.
# Seen: MSH-2 is not looked at: PID-5.1 is `DOE$JANE`. The message is written with `^~\&` in MSH-2 and `$` in all of its
# fields, so that the next receiver, who goes by MSH-2, has the patient's whole name as family name too.
# For whoever has such a relay in between: names, numbers with authority and codes arrive as one component, without an
# error on the way.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . simple-hl7@3.3.0 > install.log 2>&1 || { cat install.log; exit 1; }
cat > read.cjs <<'JS'
const { Parser } = require('simple-hl7');
const text = 'MSH|$~\\&|RIS|H|GW|H|20260101||ORM$O01|1|P|2.5.1\rPID|1||77$$$H$MR||DOE$JANE\r';
const read = new Parser().parse(text);
console.log('PID-5.1:', read.getSegment('PID').getComponent(5, 1));
console.log(read.toString().replaceAll('\r', '\n'));
JS
node read.cjs | tee seen
diff - seen <<'EXPECTED'
PID-5.1: DOE$JANE
MSH|^~\&|RIS|H|GW|H|20260101||ORM$O01|1|P|2.5.1
PID|1||77$$$H$MR||DOE$JANE
EXPECTED
