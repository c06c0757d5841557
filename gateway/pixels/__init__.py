"""Pixel data: a file in, a file or a picture out. No database, no network, no configuration.

`decoding` writes an instance without compression, `compressing` with it, `correcting` with other attributes, `preview`
makes a small JPEG for people; `pool` runs them in processes of their own, because codecs are C code that reads what
strangers sent. What the codecs need is installed by the extra `pixels`.
"""
