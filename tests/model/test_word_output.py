"""Words with times, as a client sees them in whole sessions with the embedded model."""

import json

import pytest

from tests.model.listening import Listener
from tests.model.recordings import ENGLISH, OTHER_LANGUAGES, load
from tests.word_output import WordWatch
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.mark.parametrize("summary", [False, True])
@pytest.mark.parametrize("name", [*ENGLISH, *OTHER_LANGUAGES])
def test_words_of_every_message_are_whole_timed_and_kept(
    listener: Listener, name: str, summary: bool
) -> None:
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u", "word_timestamps": True, "summary": summary}))
    heard = listener.streamed(name)
    watch = WordWatch()

    for event in heard.events:
        for message in codec.encode([event]):
            watch.receive(message)

    assert watch.open_words > len(load(name).words), "open segments have words too"
    segments = watch.completed.values()
    assert "".join(segment.text for segment in segments) == join_words(heard.words)
    assert watch.committed[0].start >= 0.0
    assert watch.committed[-1].end <= len(load(name).samples) / SAMPLE_RATE
    # The model is sure of most of what it writes; a constant would say nothing.
    assert len({word.probability for word in watch.committed}) > len(watch.committed) / 2
