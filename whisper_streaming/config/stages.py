"""What is done to words between the decoder and the outside."""

from typing import Literal

from pydantic import Field, model_validator

from whisper_streaming.config.base import Names, PositiveSeconds, Seconds, Settings


class AlignmentSettings(Settings):
    """Word times by forced alignment, with the backend `whisperx`."""

    enabled: bool = Field(
        default=True, description="Off: word times are the decoder's, as with `faster_whisper`."
    )
    models: Names = Field(
        default=(),
        description="Align models, `LANGUAGE=MODEL` or just `MODEL` for the server's language: "
        "`demo` (embedded, English), a folder or hub id of a Wav2Vec2 model, or a name of "
        "torchaudio. Other languages get the model that whisperx knows for them, once they are "
        "spoken; where the first model is `demo`, English gets the embedded one.",
    )
    hold_s: Seconds | None = Field(
        default=None,
        description="Final words wait for their times so long at the most; then they are sent "
        "with the decoder's. None: by the speed of the align model on this machine, 0.3 s to 2 s "
        "for 2 s of speech.",
    )
    threads: int = Field(
        default=1, ge=1, description="CPU threads for alignment, all sessions together."
    )


class DiarizationSettings(Settings):
    """Who speaks."""

    enabled: bool = Field(
        default=False, description="Label final words with who speaks: `SPEAKER_00` and so on."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="Folder with a speaker embedding of pyannote, or with one of its pipelines; "
        "needs the extra `whisperx`. None: the small embedding in the package.",
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="What runs a speaker embedding of pyannote."
    )
    min_speakers: int = Field(
        default=1,
        ge=1,
        le=32,
        description="While fewer were heard, a new speaker is believed more easily.",
    )
    max_speakers: int = Field(
        default=8, ge=1, le=32, description="With so many heard, nobody is taken for a new speaker."
    )
    hold_s: Seconds = Field(
        default=0.3,
        description="Final words wait for their speaker so long at the most; then they are sent "
        "with the best guess.",
    )
    look_back_s: Seconds = Field(
        default=20.0,
        description="Only words that end at most so long before the newest final one get another "
        "speaker later.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> "DiarizationSettings":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers must not be above max_speakers")
        return self


class TranslationSettings(Settings):
    """A translation beside the words, for sessions that ask for one."""

    models: Names = Field(
        default=(),
        description="Translation models: folders in CTranslate2's format, OPUS-MT (`PATH:tr-en`) "
        "or NLLB (`PATH`), or `python:MODULE:FUNCTION`, which makes a translator. The first that "
        "knows both languages is taken.",
    )
    by_ear: bool = Field(
        default=True,
        description="English by the loaded Whisper model itself, which hears every sentence a "
        "second time; where no translation model knows the languages.",
    )
    target_language: str | None = Field(
        default=None,
        min_length=2,
        description="Language of sessions that name none and can show a translation, or are "
        "recorded. None: these are not translated.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where translation models run."
    )
    compute_type: str = Field(
        default="default", description="Their CTranslate2 compute type; `default` is as converted."
    )
    threads: int = Field(
        default=1, ge=1, description="CPU threads for translation, all sessions together."
    )
    beam_size: int = Field(default=2, ge=1, le=16, description="Beam of a translation.")
    timeout_s: PositiveSeconds = Field(
        default=10.0,
        description="A translation that takes longer is given up, and so is what is missing so "
        "long after the last words.",
    )


class SecondPassSettings(Settings):
    """A second look at each session when it has ended, for the record."""

    enabled: bool = Field(
        default=False,
        description="Keep the audio of sessions on disk, transcribe it again when they have ended, "
        "and send the result as one more message.",
    )
    beam_size: int = Field(
        default=5, ge=1, le=20, description="Beam of the second look, which has the time for it."
    )
    max_audio_s: PositiveSeconds = Field(
        default=4 * 3600.0, description="Longer sessions get no second look (115 MB an hour)."
    )
    timeout_s: PositiveSeconds = Field(
        default=600.0, description="A second look that takes longer is given up."
    )


class TextHookSettings(Settings):
    """A Python function over all text that leaves the server, e.g. for redaction."""

    name: str | None = Field(
        default=None,
        min_length=1,
        description="`module:function`, or the name of an installed hook (entry points of the "
        "group `whisper_streaming.text_hooks`). It gets the text of a segment and gives the text "
        "to send. None: text goes out as it is.",
    )
    timeout_s: PositiveSeconds = Field(
        default=0.5, description="Text that it has not answered by then goes out unchanged."
    )
