"""Clients of a live transcription server. Importing them loads no model runtime."""

from whisper_streaming.client.async_client import AsyncTranscriptionClient
from whisper_streaming.client.conversation import Patience
from whisper_streaming.client.microphone import InputDevice, list_devices
from whisper_streaming.client.result import (
    Gap,
    TranscriptionResult,
    TranscriptSegment,
    TranscriptUpdate,
    TranscriptWord,
    TranslatedSegment,
)
from whisper_streaming.client.websocket_client import TranscriptionClient
from whisper_streaming.errors import (
    AudioSourceError,
    ClientError,
    ConnectionLost,
    ServerFailed,
    ServerRefused,
)

__all__ = [
    "AsyncTranscriptionClient",
    "AudioSourceError",
    "ClientError",
    "ConnectionLost",
    "Gap",
    "InputDevice",
    "Patience",
    "ServerFailed",
    "ServerRefused",
    "TranscriptSegment",
    "TranscriptUpdate",
    "TranscriptWord",
    "TranscriptionClient",
    "TranscriptionResult",
    "TranslatedSegment",
    "list_devices",
]
