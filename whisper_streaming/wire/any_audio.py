"""Audio of clients that do not say what they send: raw samples or a container."""

from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.wire.base import Audio, Command, EncodedAudio
from whisper_streaming.wire.container import WEBM_CLUSTER, AudioFormat, detect_format
from whisper_streaming.wire.pcm import PcmReader


class AnyAudioReader:
    """Turns one stream's messages into commands; its first bytes decide what it is.

    Args:
        pcm: For a stream that is no known container.
    """

    def __init__(self, pcm: PcmReader) -> None:
        self._pcm = pcm
        self._undecided = b""
        self._is_container: bool | None = None

    def read(self, message: bytes) -> list[Command]:
        """The commands of a message; none while too few bytes came to tell the format.

        Raises:
            UnsupportedAudio: If raw samples cannot be audio, or the stream is the rest of a WebM.
        """
        if self._is_container is None:
            message = self._undecided + message
            audio_format = detect_format(message)
            if audio_format is None:
                self._undecided = message
                return []
            if message.startswith(WEBM_CLUSTER):
                raise UnsupportedAudio(
                    "a WebM recording without its beginning: send each message from the first"
                )
            self._undecided = b""
            self._is_container = audio_format is not AudioFormat.UNKNOWN
        return [EncodedAudio(message)] if self._is_container else self._read_pcm(message)

    def finish(self) -> list[Command]:
        """No message follows: what is still undecided are samples. Idempotent."""
        undecided, self._undecided = self._undecided, b""
        return self._read_pcm(undecided)

    def _read_pcm(self, data: bytes) -> list[Command]:
        samples = self._pcm.read(data)
        return [Audio(samples)] if len(samples) else []
