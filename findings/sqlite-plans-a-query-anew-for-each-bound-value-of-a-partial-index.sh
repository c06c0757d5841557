#!/bin/sh
# SQLite 3.54.1 (in the Python package apsw 3.54.1.0; 3.40.1 does the same): queries that a partial index serves.
#
# Guess before the run: a statement that is kept prepared is planned once, whatever is bound to it; `<> ?` with '' bound
# either has no use for an index of rows `<> ''`, or is as good as `<> ''` in the text.
# Seen: the index is used, for the planner looks at the bound value; and so the statement is planned anew each time it is
# run, also with the very value of before. The authorizer, which is called while a statement is planned, is called at each
# run; with '' in the text it is called for the first alone. EXPLAIN QUERY PLAN shows the same plan for both.
# For a short look-up planning is most of the time (measured once: two to eight times as slow), and query builders bind such values
# without being asked: a partial index added to a table makes the queries dearer that it was made for.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
venv/bin/python - > seen <<'PY'
import apsw

connection = apsw.Connection(":memory:")
connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, parent TEXT NOT NULL)")
connection.execute("CREATE INDEX of_parent ON orders (parent) WHERE parent <> ''")


def planned(sql, values):
    """The plan, and for each of five runs whether the statement was planned."""
    [(*_, plan)] = connection.execute("EXPLAIN QUERY PLAN " + sql, values).fetchall()
    calls = []
    connection.authorizer = lambda *_: calls.append(1) or apsw.SQLITE_OK
    runs = []
    for _ in range(5):
        calls.clear()
        connection.execute(sql, values).fetchall()
        runs.append(bool(calls))
    connection.authorizer = None
    return plan, runs


print(apsw.sqlite_lib_version())
print("bound:", *planned("SELECT id FROM orders WHERE parent = ? AND parent <> ?", ("P1", "")))
print("text:", *planned("SELECT id FROM orders WHERE parent = ? AND parent <> ''", ("P1",)))
PY
cat seen
diff - seen <<'EXPECTED'
3.54.1
bound: SEARCH orders USING COVERING INDEX of_parent (parent=?) [True, True, True, True, True]
text: SEARCH orders USING COVERING INDEX of_parent (parent=?) [True, False, False, False, False]
EXPECTED
