"""What goes wrong with pixels. All of it waits for a person: the instance itself stays as it arrived."""

from __future__ import annotations

from gateway.errors import NeedsPerson


class PixelFault(NeedsPerson):
    """The pixels of an instance cannot be used as asked."""


class NoPixels(PixelFault):
    """The instance has no image: a report, a presentation state, a document."""


class UnsupportedPixels(PixelFault):
    """A transfer syntax, photometric interpretation or number of bits that nothing here decodes or encodes."""


class BrokenPixels(PixelFault):
    """The bytes are not what their data set states them to be."""


class LossyRefused(PixelFault):
    """A compression that would lose something (PS3.3 C.7.6.1.1.5: it would make another instance)."""


class TooManyPixels(PixelFault):
    """More than is held in memory, or than a length of 32 bits can state (PS3.5 A.2)."""


class CodecMissing(PixelFault):
    """The codecs are not installed."""

    def __init__(self) -> None:
        super().__init__("the codecs of pixel data are not installed; install imaging-gateway[pixels]")


class CodecDied(PixelFault):
    """The process that ran the codec ended, or was ended because it took too long."""
