"""A finding: a remark on a message or study that a person may have to read."""

from __future__ import annotations

from gateway.errors import Place
from gateway.value_class import value_class


@value_class
class Finding:
    """What was odd, and where; nothing was refused for it."""

    place: Place | str
    text: str

    def as_row(self) -> dict[str, str]:
        """The JSON that the store keeps."""
        return {"place": str(self.place), "text": self.text}
