"""All settings together."""

from typing import Literal

from pydantic import Field, field_validator

from whisper_streaming.config.base import Settings
from whisper_streaming.config.decoding import BackendSettings, HubSettings, SchedulerSettings
from whisper_streaming.config.outputs import CaptionSettings, ForwardSettings, RecordSettings
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


class ServerConfig(Settings):
    """Everything the server can be told."""

    host: str = Field(default="localhost", description="Address to listen on.")
    port: int = Field(default=9090, ge=0, le=65535, description="Port; 0 picks a free one.")
    pages: bool = Field(
        default=True,
        description="Serve the captions page at `/` and the operator's page at `/status` to "
        "browsers. Off: `/` is no page, and `/status` is JSON for browsers, too.",
    )
    language: str | None = Field(
        default="en",
        description="Language of sessions that name none; `auto` detects it per session, several "
        "with commas between them (`en,tr`) detect it among these.",
    )
    task: Literal["transcribe", "translate"] = Field(
        default="transcribe", description="Task of sessions that name none."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Log level. Transcript text appears at DEBUG only."
    )
    tls: TlsSettings = TlsSettings()
    backend: BackendSettings = BackendSettings()
    vad: VadSettings = VadSettings()
    input: InputSettings = InputSettings()
    endpoint: EndpointSettings = EndpointSettings()
    policy: PolicySettings = PolicySettings()
    segment: SegmentSettings = SegmentSettings()
    limits: LimitSettings = LimitSettings()
    asr: AsrSettings = AsrSettings()
    media: MediaSettings = MediaSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    forward: ForwardSettings = ForwardSettings()
    record: RecordSettings = RecordSettings()
    captions: CaptionSettings = CaptionSettings()
    translation: TranslationSettings = TranslationSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    hub: HubSettings = HubSettings()
    diarization: DiarizationSettings = DiarizationSettings()
    text_hook: TextHookSettings = TextHookSettings()
    second_pass: SecondPassSettings = SecondPassSettings()

    @property
    def only_language(self) -> str | None:
        """Language of sessions that name none, unless they detect it."""
        return None if self.language is None or "," in self.language else self.language

    @field_validator("language", mode="before")
    @classmethod
    def _read_auto(cls, value: object) -> object:
        return None if value == "auto" else value
