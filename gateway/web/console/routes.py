"""All routes of the console, one module for each page."""

from __future__ import annotations

from typing import Final

from gateway.web.console import (
    audit,
    deliveries,
    figures,
    journey,
    login,
    mappings,
    message,
    messages,
    now,
    pictures,
    refusal,
    retention,
    search,
    static,
    studies,
    system,
    users,
    worklist,
)
from gateway.web.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *now.ROUTES,
    *deliveries.ROUTES,
    *journey.ROUTES,
    *messages.ROUTES,
    *message.ROUTES,
    *refusal.ROUTES,
    *worklist.ROUTES,
    *figures.ROUTES,
    *mappings.ROUTES,
    *studies.ROUTES,
    *pictures.ROUTES,
    *search.ROUTES,
    *system.ROUTES,
    *retention.ROUTES,
    *users.ROUTES,
    *audit.ROUTES,
    *login.ROUTES,
    *static.ROUTES,
)
