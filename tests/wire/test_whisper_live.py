"""WhisperLive's protocol on the server's side, message by message."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import UNHURRIED
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
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.errors import (
    DecodeError,
    InvalidMessage,
    ProtocolError,
    SessionStateError,
    UnsupportedAudio,
)
from whisper_streaming.wire.base import Audio, Configure, EndOfAudio, VadWishes, Welcome
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_messages import (
    Disconnect,
    Failure,
    Language,
    Notice,
    Options,
    Ready,
    Summary,
    Wait,
    parse_server_message,
)

ACCOUNT = AudioAccount(received=10, decoded=6, silence=3, gap=1)


def opened(**options: object) -> WhisperLiveServerCodec:
    """A codec whose client sent ``options``."""
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u", **options}))
    return codec


def words(text: str, *, start: float = 0.0, speaker: str | None = None) -> Words:
    """Words split at "|", 0.5 s each."""
    pieces = text.split("|") if text else []
    return tuple(
        Word(piece, start + n / 2, start + n / 2 + 0.5, probability=0.87654, speaker=speaker)
        for n, piece in enumerate(pieces)
    )


def sentence(number: int) -> list[Event]:
    """A whole utterance that completes one segment."""
    spoken = words(f" line| {number}", start=2.0 * number)
    return [WordsCommitted(number, spoken), UtteranceEnded(number, 2.0 * number + 1)]


def shown(messages: Sequence[str]) -> list[list[str]]:
    """The segments of each message as text, open ones as committed+rest."""
    lists = []
    for message in messages:
        texts = []
        for segment in json.loads(message)["segments"]:
            text, stable = segment["text"], segment.get("committed_text", segment["text"])
            is_open = not segment["completed"]
            assert text.startswith(stable)
            texts.append(f"{stable}+{text[len(stable) :]}" if is_open else text)
        lists.append(texts)
    return lists


# --- the client's messages


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, Configure(uid="u"), id="only the uid"),
        pytest.param({"language": "de"}, Configure(uid="u", language="de"), id="language"),
        pytest.param({"language": None}, Configure(uid="u", detect_language=True), id="detection"),
        pytest.param(
            {"vad_parameters": {"threshold": 0.6, "min_silence_duration_ms": 700, "onset": 1}},
            Configure(uid="u", vad=VadWishes(threshold=0.6, silence_s=0.7)),
            id="some VAD parameters, unknown ones ignored",
        ),
        pytest.param(
            {
                "vad_parameters": {
                    "neg_threshold": 0.2,
                    "min_speech_duration_ms": 100,
                    "speech_pad_ms": 300,
                }
            },
            Configure(uid="u", vad=VadWishes(release=0.2, min_speech_s=0.1, pre_roll_s=0.3)),
            id="the other VAD parameters",
        ),
        pytest.param({"vad_parameters": None}, Configure(uid="u"), id="no VAD parameters"),
        pytest.param(
            {"language": "auto"},
            Configure(uid="u", language="auto", detect_language=True),
            id="detection by name",
        ),
        pytest.param(
            {
                "task": "translate",
                "model": "small",
                "use_vad": False,
                "initial_prompt": "Hello.",
                "hotwords": "Ada",
                "max_connection_time": 60,
                "max_clients": 4,
                "same_output_threshold": 10,
                "something": ["new"],
            },
            Configure(
                uid="u",
                task="translate",
                model="small",
                use_vad=False,
                prompt="Hello.",
                hotwords="Ada",
                max_connection_time_s=60,
            ),
            id="everything",
        ),
        pytest.param({"initial_prompt": None, "hotwords": None}, Configure(uid="u"), id="nulls"),
    ],
)
def test_reads_the_options(options: dict[str, object], expected: Configure) -> None:
    codec = WhisperLiveServerCodec()

    assert codec.open() == []
    assert codec.receive(json.dumps({"uid": "u", **options})) == [expected]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param("hello", "the first message must be .* but it is not JSON", id="no JSON"),
        pytest.param("", "but it is not JSON", id="empty"),
        pytest.param("[1]", "but it is a JSON list", id="list"),
        pytest.param('"END_OF_AUDIO"', "but it is a JSON string", id="string"),
        pytest.param("[" * 100_000, "but it is not JSON", id="deep"),
        pytest.param("x" * 2_000_000, "but it is not JSON", id="2 MB"),
        pytest.param("{}", "bad options: uid: Field required", id="no uid"),
        pytest.param('{"uid": 7}', "bad options: uid: Input should be a valid string", id="uid"),
        pytest.param('{"uid": "u", "task": "sing"}', "task: Input should be 'trans", id="task"),
        pytest.param('{"uid": "u", "use_vad": "yes"}', "use_vad: Input should be", id="bool"),
        pytest.param('{"uid": "u", "audio_format": "mp3"}', "audio_format: Input", id="format"),
        pytest.param(
            '{"uid": "u", "vad_parameters": [0.5]}',
            r"vad_parameters: Input should be an object with named values$",
            id="list for the VAD parameters",
        ),
        pytest.param(
            '{"uid": "u", "vad_parameters": {"threshold": 2}}',
            r"vad_parameters\.threshold: Input should be less",
            id="a probability above 1",
        ),
        pytest.param('{"uid": "u", "max_connection_time": 0}', "max_connection_time", id="time"),
        pytest.param('{"uid": "u", "max_connection_time": NaN}', "finite", id="NaN"),
        pytest.param('{"uid": "u", "max_connection_time": 1e999}', "finite", id="infinite"),
        pytest.param(bytes(16), r"sent as text, but it is binary \(16 bytes\)", id="audio"),
        pytest.param(b"END_OF_AUDIO", "but it is binary", id="end of audio"),
    ],
)
def test_refuses_a_wrong_first_message(message: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        WhisperLiveServerCodec().receive(message)


@pytest.mark.parametrize(
    ("message", "uid"),
    [('{"uid": "u", "task": 1}', "u"), ('{"uid": 1}', ""), ("no JSON", ""), (bytes(3), "")],
)
def test_an_error_names_the_client_as_far_as_it_is_known(message: str | bytes, uid: str) -> None:
    codec = WhisperLiveServerCodec()
    with pytest.raises(InvalidMessage) as caught:
        codec.receive(message)

    (answer,) = codec.fail(caught.value)

    assert json.loads(answer) == {"uid": uid, "status": "ERROR", "message": str(caught.value)}


@pytest.mark.parametrize(
    ("audio_format", "frame"),
    [
        pytest.param("float32", np.array([0.5, -1], dtype="<f4").tobytes(), id="float32"),
        pytest.param("int16", np.array([16384, -32768], dtype="<i2").tobytes(), id="int16"),
        pytest.param("uint8", bytes([192, 0]), id="uint8"),
    ],
)
def test_reads_audio(audio_format: str, frame: bytes) -> None:
    (command,) = opened(audio_format=audio_format).receive(frame)

    assert isinstance(command, Audio)
    assert command.samples.tolist() == [0.5, -1.0]


def test_odd_bytes_wait_for_the_next_frame() -> None:
    codec = opened()
    frame = np.array([0.5], dtype="<f4").tobytes()

    assert codec.receive(b"") == []
    assert codec.receive(frame[:3]) == []
    (command,) = codec.receive(frame[3:])

    assert isinstance(command, Audio)
    assert command.samples.tolist() == [0.5]


def test_refuses_audio_in_another_format() -> None:
    with pytest.raises(UnsupportedAudio, match='"audio_format": "int16"'):
        opened().receive(np.full(500, np.nan, dtype="<f4").tobytes())


@pytest.mark.parametrize(
    "end", [b"END_OF_AUDIO", "END_OF_AUDIO", '"END_OF_AUDIO"', "END_OF_AUDIO\n"]
)
def test_ends_the_audio_as_often_as_told(end: str | bytes) -> None:
    codec = opened()

    assert codec.receive(end) == [EndOfAudio()]
    assert codec.receive(bytes(400)) == []
    assert codec.receive(end) == [EndOfAudio()]


@pytest.mark.parametrize("message", ['{"uid": "u"}', "stop", ""])
def test_refuses_other_text_after_the_options(message: str) -> None:
    with pytest.raises(InvalidMessage, match="only binary audio and END_OF_AUDIO are understood"):
        opened().receive(message)


@UNHURRIED
@given(messages=st.lists(st.binary(max_size=64) | st.text(max_size=64)), is_open=st.booleans())
def test_any_message_is_understood_or_a_protocol_error(
    messages: list[str | bytes], is_open: bool
) -> None:
    codec = opened() if is_open else WhisperLiveServerCodec()

    for message in messages:
        try:
            codec.receive(message)
        except ProtocolError as error:
            assert isinstance(parse_server_message(codec.fail(error)[0]), Failure)
            return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.sampled_from(sorted(Options.model_fields))


@UNHURRIED
@given(options=st.dictionaries(_FIELDS, _JSON))
def test_any_options_are_understood_or_a_protocol_error(options: dict[str, object]) -> None:
    codec = WhisperLiveServerCodec()
    try:
        codec.receive(json.dumps(options))
    except ProtocolError as error:
        assert isinstance(parse_server_message(codec.fail(error)[0]), Failure)


# --- the server's status messages


def test_welcomes_a_stock_client_under_the_name_it_needs() -> None:
    codec = opened()

    (message,) = codec.welcome(Welcome(engine="scripted", model="demo"))

    assert json.loads(message) == {
        "uid": "u",
        "message": "SERVER_READY",
        "backend": "faster_whisper",
        "engine": "scripted",
        "model": "demo",
    }


def test_welcomes_with_a_notice_if_there_is_one() -> None:
    (message,) = opened().welcome(Welcome(engine="e", model="m", notice="another model"))

    assert parse_server_message(message) == Ready("faster_whisper", "e", "m", "another model")


def test_welcomes_with_what_was_measured() -> None:
    welcome = Welcome(engine="e", model="m", rtf=0.12345, largest_live_model="base")

    (message,) = opened().welcome(welcome)

    assert json.loads(message)["rtf"] == 0.123
    assert parse_server_message(message) == Ready(
        "faster_whisper", "e", "m", None, rtf=0.123, largest_live_model="base"
    )


def test_a_full_server_gives_the_minutes() -> None:
    (message,) = opened().refuse_full(90)

    assert message == '{"uid": "u", "status": "WAIT", "message": 1.5}'
    assert parse_server_message(message) == Wait(1.5)


def test_hides_the_details_of_a_failure() -> None:
    (message,) = opened().fail(DecodeError("secret"))

    assert parse_server_message(message) == Failure("the transcription model failed")


def test_says_when_the_time_is_over() -> None:
    (message,) = opened().overtime()

    assert message == '{"uid": "u", "message": "DISCONNECT"}'
    assert parse_server_message(message) == Disconnect()


def test_warns_of_lost_audio() -> None:
    (message,) = opened().encode([AudioGap(1.0, 2.5, GapReason.DECODE_FAILED)])

    assert json.loads(message) == {
        "uid": "u",
        "status": "WARNING",
        "message": "the audio from 1.00 s to 2.50 s was lost: decode failed",
        "gap": {"start": 1.0, "end": 2.5},
    }
    assert isinstance(parse_server_message(message), Notice)


def test_warns_of_a_fault_of_the_input() -> None:
    (message,) = opened().encode([InputImpaired(InputFault.MUTED, 10.0)])

    assert json.loads(message) == {
        "uid": "u",
        "status": "WARNING",
        "message": "the audio is digital silence: is the microphone muted?",
        "input": "muted",
    }
    assert parse_server_message(message) == Notice(json.loads(message)["message"])


def test_a_stock_client_that_detects_the_language_gets_nothing_before_it() -> None:
    """WhisperLive's browser extension takes the message after SERVER_READY for the language."""
    impaired, detected = InputImpaired(InputFault.CLIPPED, 3.0), LanguageDetected("de", 0.9)
    stock, ours = opened(language=None), opened(language=None, summary=True)

    assert stock.encode([impaired]) == []
    assert [json.loads(each).get("input") for each in ours.encode([impaired])] == ["clipped"]
    language, warning = stock.encode([detected])
    assert (json.loads(language)["language"], json.loads(warning)["input"]) == ("de", "clipped")


@pytest.mark.parametrize("terminal", [SessionEnded(ACCOUNT), SessionFailed(ACCOUNT, "broken")])
def test_sums_up_for_those_who_asked(terminal: Event) -> None:
    codec, stock = opened(summary=True), opened()
    codec.encode([terminal])
    stock.encode([terminal])

    (message,) = codec.farewell(1.23456)

    assert parse_server_message(message) == Summary(10, 6, 3, 1, 1.235)
    assert stock.farewell(1.23456) == []


def test_sums_nothing_up_before_the_end() -> None:
    assert opened(summary=True).farewell(1.0) == []


def test_a_failed_session_sends_its_words_then_one_error() -> None:
    codec = opened()

    messages = codec.encode([WordsCommitted(1, words(" so")), SessionFailed(ACCOUNT, "broken")])

    assert shown(messages[:1]) == [[" so"]]
    assert [parse_server_message(message) for message in messages[1:]] == [Failure("broken")]


def test_a_failure_is_told_once() -> None:
    codec = opened()
    error = DecodeError("secret")

    assert len(codec.encode([SessionFailed(ACCOUNT, error.public_reason)])) == 1
    assert codec.fail(error) == []


def test_events_before_the_options_are_our_bug() -> None:
    with pytest.raises(SessionStateError):
        WhisperLiveServerCodec().encode([])


# --- the detected language


def test_partials_wait_for_the_language() -> None:
    codec = opened(language=None)

    assert codec.encode([PartialUpdated(1, words(" so"))]) == []
    language, segments = codec.encode([LanguageDetected("de", 0.98765)])

    assert json.loads(language) == {"uid": "u", "language": "de", "language_prob": 0.9877}
    assert shown([segments]) == [["+ so"]]


def test_final_segments_do_not_wait_for_the_language() -> None:
    codec = opened(language=None)

    assert shown(codec.encode(sentence(0))) == [[" line 0"]]
    assert shown(codec.encode([PartialUpdated(1, words(" so", start=2))])) == [[" line 0", "+ so"]]
    (late,) = codec.encode([LanguageDetected("de", 0.9)])
    assert parse_server_message(late) == Language("de", 0.9)


def test_the_language_is_told_once_and_only_if_asked() -> None:
    detected, other = LanguageDetected("de", 0.9), LanguageDetected("tr", 0.9)

    assert len(opened(language=None).encode([detected, other])) == 1
    assert len(opened(language="de,tr").encode([detected, other])) == 1
    assert opened(language="de").encode([detected]) == []
    assert opened().encode([detected]) == []


def test_clients_of_ours_are_told_each_language() -> None:
    codec = opened(language="auto", summary=True)
    told = [
        parse_server_message(message)
        for language in ("de", "tr")
        for message in codec.encode([LanguageDetected(language, 0.9)])
    ]

    assert told == [Language("de", 0.9), Language("tr", 0.9)]


def test_partials_wait_for_one_of_several_languages() -> None:
    codec = opened(language="de,tr")

    assert codec.encode([PartialUpdated(1, words(" so"))]) == []


# --- segments


def test_prints_segments_as_stock_clients_expect_them() -> None:
    codec = opened()
    first: list[Event] = [
        WordsCommitted(1, words(" Hello| world.", speaker="A")),
        UtteranceEnded(1, 1.0),
    ]
    second: list[Event] = [
        WordsCommitted(2, words(" It| is", start=1.25)),
        PartialUpdated(2, words(" so", start=2.25)),
    ]

    (message,) = codec.encode([*first, *second])

    assert json.loads(message) == {
        "uid": "u",
        "segments": [
            {
                "start": "0.000",
                "end": "1.000",
                "text": " Hello world.",
                "completed": True,
                "speaker": "A",
            },
            {
                "start": "1.250",
                "end": "2.750",
                "text": " It is so",
                "completed": False,
                "committed_text": " It is",
            },
        ],
    }


def test_gives_numbers_and_words_on_request() -> None:
    codec = opened(numeric_times=True, word_timestamps=True)

    (message,) = codec.encode([PartialUpdated(1, words(" Hello| world|.", start=0.1234))])

    (segment,) = json.loads(message)["segments"]
    assert (segment["start"], segment["end"]) == (0.123, 1.123)
    assert segment["words"] == [
        {"word": " Hello", "start": 0.123, "end": 0.623, "probability": 0.8765},
        {"word": " world.", "start": 0.623, "end": 1.123, "probability": 0.8765},
    ]


def test_says_which_words_were_aligned() -> None:
    codec = opened(word_timestamps=True)
    hello, stop, world = words(" Hello|.| world")
    hello = replace(hello, is_aligned=True)  # its full stop is none: nobody says it

    (message,) = codec.encode([PartialUpdated(1, (hello, stop, world))])

    (segment,) = json.loads(message)["segments"]
    assert [word.get("aligned") for word in segment["words"]] == [True, None]


def test_words_have_string_times_by_default() -> None:
    (message,) = opened(word_timestamps=True).encode(sentence(1))

    (segment,) = json.loads(message)["segments"]
    assert segment["words"][0] == {
        "word": " line",
        "start": "2.000",
        "end": "2.500",
        "probability": 0.8765,
    }


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(1, [[" line 0", " line 1+"], [" line 1", " line 2+"], [" line 2"]], id="one"),
        pytest.param(2, [[" line 0", " line 1", " line 2+"], [" line 1", " line 2"]], id="two"),
        pytest.param(3, [[" line 0", " line 1", " line 2"]], id="as many as there are"),
        pytest.param(0, [[" line 0", " line 1", " line 2"]], id="all"),
    ],
)
def test_every_completed_segment_is_listed_at_least_once(
    limit: int, expected: list[list[str]]
) -> None:
    codec = opened(send_last_n_segments=limit)

    messages = codec.encode([*sentence(0), *sentence(1), *sentence(2)])

    assert shown(messages) == expected


def test_lists_the_newest_ones_again() -> None:
    codec = opened(send_last_n_segments=2)
    for number in range(3):
        codec.encode(sentence(number))

    assert shown(codec.encode(sentence(3))) == [[" line 2", " line 3"]]


def test_sends_nothing_when_nothing_visible_changed() -> None:
    codec = opened()
    same = PartialUpdated(1, words(" so"))

    assert codec.encode([]) == []
    assert codec.encode([PartialUpdated(1, ())]) == []
    assert len(codec.encode([same])) == 1
    assert codec.encode([same]) == []
    assert len(codec.encode([PartialUpdated(1, words(" so| it"))])) == 1


def test_one_message_for_a_batch_of_events() -> None:
    codec = opened()
    batch: list[Event] = [
        PartialUpdated(1, words(" so")),
        WordsCommitted(1, words(" so")),
        PartialUpdated(1, words(" it", start=0.5)),
    ]

    assert shown(codec.encode(batch)) == [[" so+ it"]]


def test_a_stock_client_holds_the_final_text_before_its_segment_completes() -> None:
    codec = opened()
    codec.encode([PartialUpdated(1, words(" hello| wor"))])

    messages = codec.encode([WordsCommitted(1, words(" hello| world.")), UtteranceEnded(1, 1.0)])

    assert shown(messages) == [[" hello world.+"], [" hello world."]]


def test_no_announcement_where_the_text_was_shown() -> None:
    codec = opened()
    codec.encode([PartialUpdated(1, words(" hello| world."))])

    messages = codec.encode([WordsCommitted(1, words(" hello| world.")), UtteranceEnded(1, 1.0)])

    assert shown(messages) == [[" hello world."]]


def test_no_announcement_where_a_new_partial_follows() -> None:
    codec = opened()
    codec.encode([PartialUpdated(0, words(" li"))])

    messages = codec.encode([*sentence(0), PartialUpdated(1, words(" so", start=2))])

    assert shown(messages) == [[" line 0", "+ so"]]


def test_a_withdrawn_partial_is_replaced_by_the_last_segment() -> None:
    codec = opened()
    codec.encode([*sentence(0), *sentence(1), PartialUpdated(2, words(" mist", start=4))])

    messages = codec.encode([UtteranceEnded(2, 5.0)])

    assert shown(messages) == [[" line 0", "+ line 1"], [" line 0", " line 1"]]


def test_a_partial_withdrawn_before_anything_completed_is_blanked() -> None:
    codec = opened()
    codec.encode([PartialUpdated(1, words(" mist", start=1))])

    (message,) = codec.encode([UtteranceEnded(1, 5.0)])

    assert json.loads(message)["segments"] == [
        {"start": "1.000", "end": "1.500", "text": "", "completed": False, "committed_text": ""}
    ]
    assert codec.encode([SessionEnded(ACCOUNT)]) == []


def test_a_client_with_a_summary_gets_what_is_so_and_no_more() -> None:
    codec = opened(summary=True)

    assert shown(codec.encode([PartialUpdated(1, words(" mist"))])) == [["+ mist"]]
    assert shown(codec.encode([PartialUpdated(1, ())])) == [[]]
    assert codec.encode([PartialUpdated(1, ())]) == []
    assert shown(codec.encode([PartialUpdated(1, words(" li"))])) == [["+ li"]]
    assert shown(codec.encode(sentence(1))) == [[" line 1"]]


def test_equal_texts_without_leading_spaces_stay_apart() -> None:
    # A stock client takes the second for a repetition of the first.
    codec = opened()
    for number in range(2):
        codec.encode(
            [
                WordsCommitted(number, words("はい|。", start=number)),
                UtteranceEnded(number, number + 1),
            ]
        )

    (message,) = codec.encode([PartialUpdated(2, words("猫", start=5))])

    assert shown([message]) == [["はい。", " はい。", "+猫"]]
