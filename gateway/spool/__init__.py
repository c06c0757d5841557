"""The spool: instances with their pixels as files, durable, counted and bounded."""

from gateway.spool.part10 import data_set_offset
from gateway.spool.spool import Spool
from gateway.spool.spool_file import SpoolFile

__all__ = ["Spool", "SpoolFile", "data_set_offset"]
