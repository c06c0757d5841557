"""The journey of an examination, station by station, in the order in which it happens.

Each station is one module; none imports another. Between stations only database rows travel, so a crash loses nothing
and another process can take over.
"""

STATIONS = (
    "order_intake",
    "scheduling",
    "worklist",
    "study_arrival",
    "imaging_study",
    "ehr_delivery",
)
