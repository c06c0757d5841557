"""The spool: instances with their pixels as files, durable, counted and bounded."""

from gateway.spool.disk import no_disk
from gateway.spool.group_sync import GroupSync
from gateway.spool.spool import FoundFile, Spool, Use
from gateway.spool.spool_file import SpoolFile

__all__ = ["FoundFile", "GroupSync", "Spool", "SpoolFile", "Use", "no_disk"]
