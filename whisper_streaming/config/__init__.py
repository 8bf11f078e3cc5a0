"""All settings of the server, and where they come from."""

from whisper_streaming.config.base import Settings
from whisper_streaming.config.decoding import BackendSettings, HubSettings, SchedulerSettings
from whisper_streaming.config.loading import ENV_PREFIX, load_config, read_assignments
from whisper_streaming.config.outputs import CaptionSettings, ForwardSettings, RecordSettings
from whisper_streaming.config.server import ServerConfig
from whisper_streaming.config.service import AsrSettings, LimitSettings, MediaSettings, TlsSettings
from whisper_streaming.config.speech import (
    EndpointSettings,
    InputSettings,
    PolicySettings,
    SegmentSettings,
    VadSettings,
)
from whisper_streaming.config.stages import (
    AlignmentSettings,
    DiarizationSettings,
    SecondPassSettings,
    TextHookSettings,
    TranslationSettings,
)

__all__ = [
    "ENV_PREFIX",
    "AlignmentSettings",
    "AsrSettings",
    "BackendSettings",
    "CaptionSettings",
    "DiarizationSettings",
    "EndpointSettings",
    "ForwardSettings",
    "HubSettings",
    "InputSettings",
    "LimitSettings",
    "MediaSettings",
    "PolicySettings",
    "RecordSettings",
    "SchedulerSettings",
    "SecondPassSettings",
    "SegmentSettings",
    "ServerConfig",
    "Settings",
    "TextHookSettings",
    "TlsSettings",
    "TranslationSettings",
    "VadSettings",
    "load_config",
    "read_assignments",
]
