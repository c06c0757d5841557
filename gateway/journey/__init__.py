"""The journey of an examination, station by station, in the order in which the steps of an examination happen.

Each station is one package; none imports another. Between stations only database rows travel, so a crash loses nothing
and another process can take over.
"""

STATIONS = (
    "order_intake",
    "scheduling",
    "worklist",
    "performed_step",
    "ris_status",
    "step_forwarding",
    "study_arrival",
    "image_forwarding",
    "storage_commitment",
    "study_settling",
    "instance_availability",
    "order_telling",
    "ehr_delivery",
)
