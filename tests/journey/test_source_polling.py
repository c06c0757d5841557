"""Sources of studies that are asked, from the poll to the study: what is read again, who polls, what a failure costs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from operator import eq
from pathlib import Path

from aiohttp import web
from sqlalchemy import func, select

from gateway.assembly import process as app
from gateway.assembly.receivers import receivers_of
from gateway.operations.receivers import ReceiverWork, pause_all, resume, states_of
from gateway.records.work import WorkState, polls_of
from gateway.store import receiver_work
from gateway.store.schema import instances, refusals
from tests.journey.running import Start, config_of
from tests.journey.test_polled_sources import asked, comes_true, holds, state
from tests.journey.test_study_arrival import sqlite
from tests.peers.qido import HeldStudy, QidoArchive, instance_of, json, qido_archive
