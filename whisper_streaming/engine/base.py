"""The seam between sessions and whatever decodes for them."""

from typing import Protocol

from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis


class Decoder(Protocol):
    """Answers one request at a time for each session; in this process or elsewhere."""

    async def decode(self, request: DecodeRequest) -> Hypothesis:
        """Decode ``request``. Cancelling drops it; the result of a started decode is discarded.

        Raises:
            DecodeError: After the retry.
            DecodeTimeout: If the backend did not answer in time.
        """
        ...
