"""What a hook sees of a session, and what clients and observers see of the hook."""

import asyncio
import re
from collections.abc import Callable, Sequence

import pytest

from tests.conversations import conversation
from tests.forward.receiver import receiving
from tests.forward.test_delivery import forwarding_to
from tests.live_kit.programs import run, said, scripted_engine
from tests.server.peers import WORDS, scripted_config, serving, session, transcribe
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.config import ServerConfig, TextHookSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import SegmentRules, Transcript
from whisper_streaming.live.outbox import Outbox
from whisper_streaming.live.stages import SECOND_LOOK_GOES_ON
from whisper_streaming.live_kit import AudioProcessor
from whisper_streaming.text_hook import TextFacts, TextHookStage
from whisper_streaming.text_hook.rewrite import rewrite

Change = Callable[[str], str]
ENDED = SessionEnded(AudioAccount(received=0, decoded=0, silence=0, gap=0))


async def _pass(
    events: Sequence[Sequence[Event]], change: Change, language: str | None = "en"
) -> tuple[list[Event], list[tuple[str, TextFacts]]]:
    """What leaves the stage, and what the hook saw."""
    seen: list[tuple[str, TextFacts]] = []

    async def apply(words: Words, facts: TextFacts) -> Words:
        seen.append((join_words(words).strip(), facts))
        return rewrite(words, change(join_words(words)))

    stage = TextHookStage(apply, SegmentRules(), uid="ann", language=language)
    box, left = Outbox(None), list[Event]()

    async def feed() -> None:
        for bundle in events:
            box.put(bundle)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        box.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed())
        tasks.create_task(stage.run(box, left.extend))
    return left, seen


def _words(text: str, start: float = 0.0) -> Words:
    return tuple(
        Word(f" {word}", start + 0.5 * index, start + 0.5 * index + 0.4)
        for index, word in enumerate(text.split())
    )


def _final_text(events: Sequence[Event]) -> str:
    committed = (event.words for event in events if isinstance(event, WordsCommitted))
    return "".join(map(join_words, committed))


@pytest.mark.parametrize("seed", range(6))
async def test_a_hook_that_changes_nothing_changes_nothing(seed: int) -> None:
    events = [step.events for step in conversation(seed, 120.0)]
    left, _ = await _pass(events, lambda text: text)

    plain = [event for bundle in events for event in bundle]
    assert _final_text(left) == _final_text(plain)
    assert isinstance(left[-1], SessionEnded | SessionFailed)
    assert left[-1] == plain[-1]
    # All else comes in its place, counted in final words.
    kinds = (WordsCommitted, PartialUpdated)
    others = [event for event in plain if not isinstance(event, kinds)]
    assert [event for event in left if not isinstance(event, kinds)] == others
    for event in (event for event in others if isinstance(event, UtteranceEnded)):
        before = _final_text(plain[: plain.index(event)])
        assert _final_text(left[: left.index(event)]) == before


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_redacted_is_in_no_event(seed: int) -> None:
    events = [step.events for step in conversation(seed, 120.0)]
    left, seen = await _pass(events, lambda text: text.replace("the", "***"))

    assert any("the" in text for text, _ in seen)
    for event in left:
        if isinstance(event, WordsCommitted | PartialUpdated):
            assert "the" not in join_words(event.words)
    # And captions made of it are those that a client shows.
    transcript = Transcript(SegmentRules())
    for event in left:
        transcript.apply(event)
    assert transcript.open_segment is None


async def test_a_phrase_that_is_committed_word_by_word_is_seen_as_a_whole() -> None:
    one, two, three = _words("call 1234 5678")
    events: list[list[Event]] = [
        [WordsCommitted(1, (one,)), PartialUpdated(1, (two,))],
        [WordsCommitted(1, (two,)), PartialUpdated(1, (three,))],
        [WordsCommitted(1, (three,)), UtteranceEnded(1, 1.5)],
    ]
    left, seen = await _pass(events, lambda text: re.sub(r"\d+ \d+", "####", text))

    assert [text for text, facts in seen if facts.is_final] == ["call 1234 5678"]
    assert _final_text(left) == " call ####"
    shown = [join_words(event.words) for event in left if isinstance(event, PartialUpdated)]
    assert shown == [" call 1234", " call ####"]


async def test_the_hook_is_told_whose_text_it_is() -> None:
    word = Word(" hallo", 0.0, 0.4, speaker="SPEAKER_01")
    events: list[list[Event]] = [
        [PartialUpdated(1, (word,))],
        [LanguageDetected("de", 0.9), WordsCommitted(1, (word,)), UtteranceEnded(1, 0.5)],
    ]
    _, seen = await _pass(events, lambda text: text, language=None)

    assert seen == [
        ("hallo", TextFacts("ann", None, "SPEAKER_01", is_final=False)),
        ("hallo", TextFacts("ann", "de", "SPEAKER_01", is_final=True)),
    ]


async def test_a_second_look_is_in_the_language_that_it_found() -> None:
    utterance = _words("guten Tag")
    _, seen = await _pass([[TranscriptRevised((utterance,), "de")]], str.upper, language=None)

    assert seen == [("guten Tag", TextFacts("ann", "de", None, is_final=True))]


async def test_a_long_second_look_gives_signs_of_life_while_it_is_rewritten() -> None:
    now = 0.0

    async def apply(words: Words, facts: TextFacts) -> Words:
        nonlocal now
        now += 4.0
        return words

    stage = TextHookStage(apply, SegmentRules(), uid="ann", language="en", clock=lambda: now)
    revision = TranscriptRevised(tuple(_words("again", float(n)) for n in range(6)), "en")
    box, left = Outbox(None), list[Sequence[Event]]()
    box.put([LanguageDetected("en", 0.9), revision, ENDED])
    box.close()
    await stage.run(box, left.append)

    assert left == [
        [LanguageDetected("en", 0.9)],
        [SECOND_LOOK_GOES_ON],
        [SECOND_LOOK_GOES_ON],
        [revision, ENDED],
    ]


async def test_words_that_the_hook_takes_away_leave_no_event() -> None:
    events: list[list[Event]] = [
        [WordsCommitted(1, _words("um")), UtteranceEnded(1, 0.5)],
        [WordsCommitted(2, _words("yes", 1.0)), UtteranceEnded(2, 1.5)],
    ]
    left, _ = await _pass(events, lambda text: text.replace("um", ""))

    assert [event for event in left if isinstance(event, WordsCommitted)] == [
        WordsCommitted(2, _words("yes", 1.0))
    ]


# --- with the server ------------------------------------------------------------------------


def _hooked(name: str, config: ServerConfig | None = None) -> ServerConfig:
    settings = TextHookSettings(name=f"tests.text_hook.hooks:{name}", timeout_s=30.0)
    return (config or scripted_config()).model_copy(update={"text_hook": settings})


async def test_clients_and_services_get_the_text_of_the_hook() -> None:
    words = ["the", "secret", "word", "is", "secret"]
    async with (
        receiving() as receiver,
        serving(_hooked("redact", forwarding_to(receiver))) as server,
    ):
        async with session(server) as peer:
            await peer.send_audio(spoken(words))
            assert await peer.finish() == "the *** is secret"
        assert "secret word" not in str(peer.messages)
        await receiver.wait_until(lambda: len(receiver.accepted) == 1)
        assert "the *** is secret" in str(receiver.accepted[0].content)
        assert "secret word" not in str(receiver.accepted[0].content)


async def test_a_failing_hook_loses_nothing_and_other_sessions_keep_it() -> None:
    async with serving(_hooked("fail")) as server:
        assert await transcribe(server, uid="unlucky") == " ".join(WORDS)
        assert await transcribe(server, uid="ann") == " ".join(WORDS).upper()
        section = server.client_manager.get_status()["text_hook"]
    assert isinstance(section, dict)
    assert section["failures"] > 0
    assert section["calls"] > section["failures"]


async def test_a_program_with_the_library_has_the_hook_too() -> None:
    audio = said(["the", "secret", "word"]) + bytes(2 * SAMPLE_RATE)
    async with scripted_engine(config=_hooked("redact")) as engine:
        states = await run(AudioProcessor(transcription_engine=engine), audio)

    text = "".join(line.text for line in states[-1].lines if line.text)
    assert text == " the ***"
    assert "word" not in str([state.to_dict() for state in states])


async def test_a_translation_is_changed_as_the_words_are() -> None:
    events = [
        TranslationUpdated(0.0, 1.0, "secret so far", "fr"),
        TranslationCommitted(0.0, 1.0, "my secret", "fr"),
        TranslationCommitted(1.0, 2.0, "secret", "fr"),
        TranslationCommitted(2.0, 3.0, None, "fr"),
    ]
    left, seen = await _pass([events], lambda text: text.replace("secret", ""))

    assert left == [
        TranslationUpdated(0.0, 1.0, "so far", "fr"),
        TranslationCommitted(0.0, 1.0, "my", "fr"),
        TranslationCommitted(1.0, 2.0, None, "fr"),
        TranslationCommitted(2.0, 3.0, None, "fr"),
    ]
    assert [(text, facts.language, facts.is_final) for text, facts in seen] == [
        ("secret so far", "fr", False),
        ("my secret", "fr", True),
        ("secret", "fr", True),
    ]
