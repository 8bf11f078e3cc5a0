"""The protocol of /asr, message by message."""

import json
import uuid
from collections.abc import Sequence

import numpy as np
import pytest

from tests.wire.live_kit_client import Fields
from whisper_streaming.config import AsrSettings
from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    InputFault,
    InputImpaired,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import (
    DecodeTimeout,
    InvalidMessage,
    ServerFull,
    SessionOverrun,
    Unauthorized,
    UnsupportedAudio,
)
from whisper_streaming.wire.base import Audio, Configure, EndOfAudio, Welcome
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_lines import (
    DIFF_RETENTION,
    FULL_RETENTION,
    Retention,
)

EMPTY: Fields = {
    "status": "no_audio_detected",
    "lines": [],
    "buffer_transcription": "",
    "buffer_diarization": "",
    "buffer_translation": "",
    "remaining_time_transcription": 0.0,
    "remaining_time_transcription_processing": 0.0,
    "remaining_time_transcription_policy": 0.0,
    "remaining_time_diarization": 0.0,
}


def welcomed(query: str = "", **welcome: str) -> WhisperLiveKitCodec:
    codec = WhisperLiveKitCodec(query)
    codec.welcome(Welcome(engine="scripted", model="demo", **welcome))
    return codec


def words(text: str, start: float = 0.0, speaker: str | None = None) -> Words:
    """One word per ``|``, half a second each, one right after the other."""
    return tuple(
        Word(word, start + n / 2, start + (n + 1) / 2, speaker=speaker)
        for n, word in enumerate(text.split("|"))
    )


def ended(samples: int = 0) -> SessionEnded:
    return SessionEnded(AudioAccount(received=samples, decoded=0, silence=samples, gap=0))


def tell(codec: WhisperLiveKitCodec, *events: Event, lag_s: float = 0.0) -> Fields:
    (message,) = codec.encode(events, lag_s)
    fields: Fields = json.loads(message)
    return fields


def texts(fields: Fields) -> list[str]:
    return [line["text"] for line in fields["lines"]]


# -- what a client asks for


def test_configures_without_a_message() -> None:
    (first,), (second,) = (WhisperLiveKitCodec().open() for _ in range(2))

    assert isinstance(first, Configure)
    assert first == Configure(
        uid=str(uuid.UUID(first.uid)), takes_translation=True, takes_revision=True
    )
    assert first != second


@pytest.mark.parametrize(
    ("query", "language", "detects"),
    [
        ("language=fr", "fr", False),
        ("language=auto", None, True),
        ("language=", None, False),
        ("mode=diff&target_language=de&token=t", None, False),
    ],
)
def test_the_url_tells_the_language(query: str, language: str | None, detects: bool) -> None:
    (command,) = WhisperLiveKitCodec(query).open()

    assert isinstance(command, Configure)
    assert (command.language, command.detect_language) == (language, detects)


def test_refuses_a_target_that_is_no_language() -> None:
    codec = WhisperLiveKitCodec("target_language=anything")

    with pytest.raises(InvalidMessage) as caught:
        codec.open()

    assert codec.fail(caught.value) == [
        '{"type": "error", "error": "target_language \'anything\' is no language code"}'
    ]
    assert codec.close_code(caught.value) == 4400


def test_the_audio_is_16_bit_and_may_be_cut_anywhere() -> None:
    codec = WhisperLiveKitCodec()
    frame = np.array([16384, -16384], dtype="<i2").tobytes()

    first, second, third = (codec.receive(part) for part in (frame[:1], frame[1:3], frame[3:]))

    assert first == []
    assert [c.samples.tolist() for c in second + third if isinstance(c, Audio)] == [[0.5], [-0.5]]


def test_an_empty_message_ends_the_audio() -> None:
    codec = WhisperLiveKitCodec()

    assert codec.receive(b"") == [EndOfAudio()]
    assert codec.receive(bytes(8)) == []
    assert codec.receive(b"") == [EndOfAudio()]


def test_refuses_text() -> None:
    with pytest.raises(InvalidMessage, match="only binary messages are understood: audio, and an"):
        WhisperLiveKitCodec().receive('{"language": "fr"}')


# -- what it is told


def test_begins_with_config_and_an_empty_state() -> None:
    welcome = Welcome(engine="scripted", model="demo")
    config, first = WhisperLiveKitCodec().welcome(welcome)

    assert config == '{"type": "config", "useAudioWorklet": true, "mode": "full"}'
    assert json.loads(first) == EMPTY


def test_diff_mode_begins_with_a_snapshot() -> None:
    welcome = Welcome(engine="scripted", model="demo")
    config, first = WhisperLiveKitCodec("mode=diff", pcm_input=False).welcome(welcome)

    assert config == '{"type": "config", "useAudioWorklet": false, "mode": "diff"}'
    assert json.loads(first) == {"type": "snapshot", "seq": 1} | EMPTY


def test_an_unknown_mode_is_repeated_and_means_full_states() -> None:
    config, first = WhisperLiveKitCodec("mode=short").welcome(Welcome("scripted", "demo"))

    assert json.loads(config)["mode"] == "short"
    assert json.loads(first) == EMPTY


def test_notices_are_warnings_of_the_first_state() -> None:
    codec = WhisperLiveKitCodec()
    _, first = codec.welcome(Welcome("scripted", "demo", notice="the model is slow"))

    assert json.loads(first) == EMPTY | {"warning": "the model is slow"}
    assert codec.encode([SpeechStarted(1, 0.0)]) == []


def test_final_words_grow_the_last_line_and_unstable_ones_are_in_the_buffer() -> None:
    codec = welcomed()

    first = tell(codec, PartialUpdated(1, words(" I| am")))
    second = tell(codec, WordsCommitted(1, words(" I| am")), PartialUpdated(1, words(" fin", 1)))
    third = tell(codec, WordsCommitted(1, words(" fine|.", 1)), UtteranceEnded(1, 2.0))

    assert (texts(first), first["buffer_transcription"]) == ([], " I am")
    assert (texts(second), second["buffer_transcription"]) == ([" I am"], " fin")
    assert (texts(third), third["buffer_transcription"]) == ([" I am fine."], "")
    assert second["lines"][0] == {
        "speaker": 1,
        "text": " I am",
        "start": "0:00:00.00",
        "end": "0:00:01.00",
    }
    assert {fields["status"] for fields in (first, second, third)} == {"active_transcription"}


def test_in_diff_mode_final_words_wait_in_the_buffer_for_their_line() -> None:
    codec = welcomed("mode=diff")

    first = tell(codec, WordsCommitted(1, words(" I| am")), PartialUpdated(1, words(" fin", 1)))
    second = tell(codec, WordsCommitted(1, words(" fine.", 1)), UtteranceEnded(1, 2.0))

    assert (first["n_lines"], first["buffer_transcription"]) == (0, " I am fin")
    assert "new_lines" not in first
    assert (texts(second | {"lines": second["new_lines"]})) == [" I am fine."]
    assert (second["n_lines"], second["buffer_transcription"]) == (1, "")


@pytest.mark.parametrize("mode", ["full", "diff"])
def test_letters_of_all_languages_travel_as_they_are(mode: str) -> None:
    codec = welcomed(f"mode={mode}")

    (message,) = codec.encode([WordsCommitted(1, words(" naïve| 猫")), UtteranceEnded(1, 1.0)])

    assert '"text": " naïve 猫"' in message


def test_lines_end_at_sentences_pauses_speakers_and_the_longest_length() -> None:
    codec = WhisperLiveKitCodec("", SegmentRules(max_s=3.0))
    codec.welcome(Welcome("scripted", "demo"))
    said = [
        *words(" It| is|."),
        *words(" Then| a", 1.5),
        *words(" pause", 4.0, speaker="A"),
        *words(" Who?", 4.5, speaker="B"),
        *words(" a| b| c| d| e| f| g", 5.0, speaker="B"),
    ]

    fields = tell(codec, WordsCommitted(1, tuple(said)), UtteranceEnded(1, 9.0))

    assert texts(fields) == [" It is.", " Then a", " pause", " Who? a b c d e", " f g"]


def test_speakers_are_numbered_as_they_appear() -> None:
    codec = welcomed()
    said = [
        *words(" so"),
        *words(" one", 0.5, speaker="SPEAKER_07"),
        *words(" two", 1.0, speaker="SPEAKER_02"),
        *words(" three", 1.5, speaker="SPEAKER_07"),
    ]

    fields = tell(codec, WordsCommitted(1, tuple(said)), UtteranceEnded(1, 2.0))

    assert [(line["speaker"], line["text"]) for line in fields["lines"]] == [
        (1, " so one"),
        (2, " two"),
        (1, " three"),
    ]


def test_a_long_pause_is_a_line() -> None:
    codec = welcomed()
    tell(codec, WordsCommitted(1, words(" so", 6.0)), UtteranceEnded(1, 6.5))

    short = tell(codec, WordsCommitted(2, words(" it", 11.5)), UtteranceEnded(2, 12.0))
    waiting = codec.encode([SpeechStarted(3, 17.01), PartialUpdated(3, ())])
    long = tell(codec, WordsCommitted(3, words(" is", 17.01)))

    silence = {"speaker": -2, "text": "", "start": "0:00:00.00", "end": "0:00:06.00"}
    assert short["lines"][0] == silence
    assert texts(short) == ["", " so", " it"]
    assert waiting == []
    assert long["lines"][-2] == silence | {"start": "0:00:12.00", "end": "0:00:17.01"}


def test_silence_at_the_end_is_a_line_if_there_was_speech() -> None:
    codec = welcomed()
    tell(codec, WordsCommitted(1, words(" so")), UtteranceEnded(1, 0.5))

    fields = tell(codec, ended(samples=16_000 * 8))

    assert fields["lines"][1:] == [
        {"speaker": -2, "text": "", "start": "0:00:00.50", "end": "0:00:08.00"}
    ]
    assert welcomed().encode([ended(samples=16_000 * 8)]) == []


def test_lost_audio_is_no_silence_and_is_told_once() -> None:
    codec = welcomed()

    told = tell(codec, AudioGap(1.0, 8.0, GapReason.DECODE_FAILED))
    after = tell(codec, WordsCommitted(1, words(" so", 9.0)))

    assert told == EMPTY | {"warning": "the audio from 1.00 s to 8.00 s was lost: decode failed"}
    assert texts(after) == [" so"]
    assert "warning" not in after


def test_says_what_is_wrong_with_the_audio() -> None:
    events = [InputImpaired(InputFault.MUTED, 1.0), InputImpaired(InputFault.CLIPPED, 2.0)]

    assert tell(welcomed(), *events)["warning"] == (
        "the audio is digital silence: is the microphone muted?; "
        "the audio is too loud and clipped, which costs words: turn the input down"
    )


def test_lines_after_its_detection_tell_the_language() -> None:
    codec = welcomed("mode=diff")

    early = tell(codec, WordsCommitted(1, words(" so")), UtteranceEnded(1, 0.5))
    events = [LanguageDetected("de", 0.9), WordsCommitted(2, words(" ja", 1)), UtteranceEnded(2, 2)]
    late = tell(codec, *events)

    assert "detected_language" not in early["new_lines"][0]
    assert [line["detected_language"] for line in late["new_lines"]] == ["de"]
    assert late["n_lines"] == 2


def test_lines_keep_the_language_that_they_were_spoken_in() -> None:
    codec = welcomed()
    languages = ["de", "tr", "de"]

    fields = [
        tell(
            codec,
            LanguageDetected(language, 0.9),
            WordsCommitted(number, words(" ja", number)),
            UtteranceEnded(number, number + 0.5),
        )
        for number, language in enumerate(languages, start=1)
    ]

    assert [line["detected_language"] for line in fields[-1]["lines"]] == languages


def test_the_remaining_time_is_speech_that_is_not_decoded_and_words_that_are_not_final() -> None:
    codec = welcomed()

    def remaining(*events: Event, lag_s: float) -> tuple[float, ...]:
        fields = tell(codec, *events, lag_s=lag_s)
        names = ["", "_processing", "_policy"]
        return tuple(fields[f"remaining_time_transcription{name}"] for name in names)

    assert remaining(SpeechStarted(1, 8.0), lag_s=0.31) == (0.3, 0.3, 0.0)
    assert remaining(PartialUpdated(1, words(" a| b| c", 8.0)), lag_s=0.26) == (1.8, 0.3, 1.5)
    assert remaining(WordsCommitted(1, words(" a| b", 8.0)), lag_s=0.0) == (0.5, 0.0, 0.5)
    assert remaining(UtteranceEnded(1, 10.0), lag_s=0.0) == (0.0, 0.0, 0.0)


def test_says_nothing_where_nothing_changed() -> None:
    codec = welcomed()
    partial = PartialUpdated(1, words(" so"))

    assert codec.encode([SpeechStarted(1, 0.0)]) == []
    assert len(codec.encode([partial])) == 1
    assert codec.encode([partial]) == []
    assert len(codec.encode([partial], 0.1)) == 1


# -- how it ends


def test_a_session_ends_with_ready_to_stop() -> None:
    codec = welcomed()

    assert codec.overtime() == []
    assert codec.farewell(1.0) == ['{"type": "ready_to_stop"}']


def test_a_failure_is_told_once_and_leaves_the_lines() -> None:
    codec = welcomed()
    tell(codec, WordsCommitted(1, words(" so")), UtteranceEnded(1, 0.5))
    failed = SessionFailed(ended().account, DecodeTimeout().public_reason)

    fields = tell(codec, failed)

    assert (fields["status"], texts(fields)) == ("error", [" so"])
    assert fields["error"] == "the transcription model did not answer in time"
    assert codec.fail(DecodeTimeout()) == []


@pytest.mark.parametrize("mode", ["full", "diff"])
def test_an_error_in_a_session_is_a_state(mode: str) -> None:
    codec = welcomed(f"mode={mode}")

    (message,) = codec.fail(InvalidMessage("so not"))

    fields = json.loads(message)
    assert (fields["status"], fields["error"]) == ("error", "so not")


def test_an_error_before_the_session_is_a_message_of_its_own() -> None:
    codec = WhisperLiveKitCodec("language=xx")

    assert codec.fail(InvalidMessage("no xx")) == ['{"type": "error", "error": "no xx"}']
    assert codec.refuse_full(30.4) == [
        '{"type": "error", "error": "the server is full, try again in 30 s"}'
    ]


@pytest.mark.parametrize(
    ("error", "before", "within"),
    [
        (InvalidMessage("no"), 4400, 1007),
        (UnsupportedAudio("no"), 4400, 1003),
        (Unauthorized("no"), 4401, 4401),
        (ServerFull(1.0), 1013, 1013),
        (SessionOverrun(1.0), 1013, 1013),
        (DecodeTimeout(), 1011, 1011),
    ],
)
def test_close_codes(error: InvalidMessage, before: int, within: int) -> None:
    assert WhisperLiveKitCodec().close_code(error) == before
    assert welcomed().close_code(error) == within


# -- endless sessions


def sentences(count: int, *, pause_s: float = 0.0) -> Sequence[tuple[Event, ...]]:
    """What is told of sentences of two words in one second each, and pauses after them."""
    batches = []
    for number in range(count):
        said = words(f" line| {number % 10}.", number * (1.0 + pause_s))
        batches.append((WordsCommitted(number, said), UtteranceEnded(number, said[-1].end)))
    return batches


def test_by_default_as_much_is_kept_as_the_settings_say() -> None:
    asr = AsrSettings()

    assert Retention(asr.retention_s, asr.max_lines) == FULL_RETENTION
    assert Retention(asr.diff_retention_s, asr.max_lines) == DIFF_RETENTION


def test_old_lines_are_dropped() -> None:
    codec = WhisperLiveKitCodec("mode=diff", retention=Retention(max_age_s=3.0))
    codec.welcome(Welcome("scripted", "demo"))

    told = [tell(codec, *batch) for batch in sentences(10)]

    assert [fields["n_lines"] for fields in told] == [1, 2, 3, 4, 4, 4, 4, 4, 4, 4]
    assert {fields.get("lines_pruned", 0) for fields in told[4:]} == {1}
    assert all(len(fields["new_lines"]) == 1 for fields in told)


def test_there_are_never_more_lines_than_allowed() -> None:
    codec = WhisperLiveKitCodec("", retention=Retention(max_age_s=1e9, max_lines=5))
    codec.welcome(Welcome("scripted", "demo"))

    told = [tell(codec, *batch) for batch in sentences(12)]

    assert [len(fields["lines"]) for fields in told] == [1, 2, 3, 4, *([5] * 8)]
    assert texts(told[-1]) == [f" line {number % 10}." for number in range(7, 12)]


@pytest.mark.parametrize("mode", ["full", "diff"])
def test_messages_are_as_large_after_hours_as_after_minutes(mode: str) -> None:
    codec = welcomed(f"mode={mode}")

    # Two and a half hours of sentences with silences between: 1,500 of each.
    sizes = [len(codec.encode(batch)[0]) for batch in sentences(1500, pause_s=5.5)]

    minutes_12 = max(sizes[:110])
    # Hours have a digit more.
    assert max(sizes) <= minutes_12 * 1.02
