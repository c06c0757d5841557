#!/bin/sh
# Python's own module sqlite3 (CPython 3.11), and PRAGMA incremental_vacuum(N).
#
# Guess before the run: `execute("PRAGMA incremental_vacuum(100)")` gives up to 100 free pages back to the file system, as
# SQLite's page on the pragma has it; if a cursor must be read to its end for that, fetchall() does so.
# Seen: one page, with execute() and with fetchall() alike. The statement gives a row for each page, but rows without a
# column, which the module takes for the end. executescript() frees all 100. With the packages pysqlite3-binary 0.5.4.post2,
# which has the same interface, and apsw 3.54.1.0 fetchall() frees all 100, and execute() alone frees one as well.
# For whoever gives disk space back in small portions: a job that "frees 1,000 pages" at a time frees one at a time, without
# an error, and a file that grew to gigabytes hardly shrinks. What was tried with one of the packages does not hold here.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case "$(python3 --version)" in "Python 3.11."*) ;; *) echo "this is of Python 3.11"; exit 1 ;; esac
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0 pysqlite3-binary==0.5.4.post2
venv/bin/python - > seen <<'PY'
import sqlite3

import apsw
import pysqlite3

FILL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT zeroblob(4000) FROM n"
VACUUM = "PRAGMA incremental_vacuum(100)"


def freed(connection, vacuum):
    """How many of 500 free pages a call gives back."""
    for sql in ("PRAGMA auto_vacuum = INCREMENTAL", "CREATE TABLE t (x)", FILL, "DELETE FROM t"):
        connection.execute(sql)
    def free():
        return list(connection.execute("PRAGMA freelist_count"))[0][0]
    before = free()
    vacuum(connection)
    return before - free()


ways = {
    "execute": lambda connection: connection.execute(VACUUM),
    "fetchall": lambda connection: connection.execute(VACUUM).fetchall(),
    "executescript": lambda connection: connection.executescript(VACUUM),
}
for module in (sqlite3, pysqlite3):
    for name, vacuum in ways.items():
        with open(f"{module.__name__}-{name}.db", "wb"):
            pass
        connection = module.connect(f"{module.__name__}-{name}.db", isolation_level=None)
        print(module.__name__, name, freed(connection, vacuum))
        connection.close()
for name in ("execute", "fetchall"):
    connection = apsw.Connection(f"apsw-{name}.db")
    print("apsw", name, freed(connection, ways[name]))
    connection.close()
PY
cat seen
diff - seen <<'EXPECTED'
sqlite3 execute 1
sqlite3 fetchall 1
sqlite3 executescript 100
pysqlite3 execute 1
pysqlite3 fetchall 100
pysqlite3 executescript 100
apsw execute 1
apsw fetchall 100
EXPECTED
