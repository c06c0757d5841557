"""What every page of the console may be asked with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.web.requests import RequestParameters, Words


class PageParameters(RequestParameters):
    """The base of the parameters of all pages."""

    notice: Words = Field(default="", description="Key of what a button has done, for the line above the page")
    n: Annotated[int, Field(ge=0, le=2**31, description="How much of it")] = 0
