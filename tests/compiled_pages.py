"""Pages that one process of the tests has compiled are loaded by the others.

To compile all templates takes half a second of CPU, in each process and beside the first test of it that starts a
gateway. They stand in pytest's cache, by the module that says how they are compiled; each knows what it was made of.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from jinja2 import FileSystemBytecodeCache

from gateway.web.console import rendering

_CACHE: Final = Path(__file__).parent.parent / ".pytest_cache" / "pages"


def load() -> None:
    """Load what this or another process has compiled; compile what nobody has."""
    folder = _CACHE / hashlib.sha256(Path(rendering.__file__).read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    rendering._ENVIRONMENT.bytecode_cache = FileSystemBytecodeCache(str(folder))
    try:
        rendering.warm_up()
    finally:
        rendering._ENVIRONMENT.bytecode_cache = None
