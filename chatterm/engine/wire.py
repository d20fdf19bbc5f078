"""Frames on the pipe: four bytes of length, little-endian, then one MessagePack message."""

from __future__ import annotations

import msgspec

from chatterm.engine.messages import AnyEvent, AnyRequest

HEADER_BYTES = 4
MAX_FRAME_BYTES = 256 << 20
"""A longer frame is taken for a broken stream."""

encoder = msgspec.msgpack.Encoder()
request_decoder: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)
event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


class BrokenFrameError(Exception):
    """The stream holds something that is not a frame; nothing after it can be trusted."""


def frame(message: AnyRequest | AnyEvent) -> bytes:
    """One message as bytes on the wire."""
    body = encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "little") + body


def body_length(header: bytes) -> int:
    """The length that a header announces.

    Raises:
        BrokenFrameError: it is over `MAX_FRAME_BYTES`.
    """
    length = int.from_bytes(header, "little")
    if length > MAX_FRAME_BYTES:
        raise BrokenFrameError(f"a frame of {length} bytes is announced")
    return length
