"""The seam between sessions and whatever decodes for them."""

from typing import Protocol

from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis


class DecodeJob(Protocol):
    """A wish for a decode. Its request is cut when somebody is free to decode it.

    While a job waits, audio arrives, speech ends, or the decode becomes needless. A request cut at
    the start of the wait would be old at its end, and the next one would wait as long again.
    """

    @property
    def is_last(self) -> bool:
        """Whether the request would be the last of its utterance, so that a person waits for it."""
        ...

    def peek(self) -> DecodeRequest | None:
        """The request as it would be cut now; None if nothing needs a decode any more."""
        ...

    def take(self) -> DecodeRequest:
        """Cut the request that ``peek`` shows. Once: from here on it counts as being decoded."""
        ...


class Decoder(Protocol):
    """Answers one job at a time for each session; in this process or elsewhere."""

    async def decode(self, job: DecodeJob) -> Hypothesis | None:
        """Take the job's request when its turn has come, and decode it.

        Cancelling drops the job; the result of a started decode is discarded.

        Returns:
            The hypothesis, or None if the job was not needed any more and was not taken.

        Raises:
            DecodeError: After the retry. The job was taken.
            DecodeTimeout: If the backend did not answer in time. The job was taken.
        """
        ...
