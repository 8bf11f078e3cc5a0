"""What every backend must do. Inherit :class:`BackendConformance` and give the two fixtures."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, join_words
from whisper_streaming.errors import DecodeError

START_SAMPLE = 5 * SAMPLE_RATE + 7
TIME_STEP_S = 0.5 / SAMPLE_RATE
"""Times are compared to half a sample."""


class BackendConformance:
    """The contract of ``Backend``, as tests.

    Fixtures to give:
        backend: The backend; may be shared by all tests of the class.
        speech: English speech of 3 to 8 s in which the backend hears several words; float32,
            shape (n,), mono, 16 kHz.
    """

    @pytest.fixture
    def request_of_speech(self, speech: FloatArray) -> DecodeRequest:
        speech.flags.writeable = False  # backends get a view of a session's audio
        return DecodeRequest(speech, START_SAMPLE, DecodeOptions(language="en"))

    @pytest.fixture
    def variants(self, request_of_speech: DecodeRequest) -> list[DecodeRequest]:
        """Windows of one length that get different answers and the same batch key."""
        samples = request_of_speech.samples
        fifth = len(samples) // 5
        return [
            replace(
                request_of_speech,
                samples=samples[offset : offset + 3 * fifth],
                start_sample=START_SAMPLE + offset,
            )
            for offset in (0, fifth, 2 * fifth)
        ]

    def test_says_what_it_is(self, backend: Backend) -> None:
        info = backend.info

        assert info.engine
        assert info.models
        assert info.workers >= 1
        assert info.max_batch >= 1
        assert all("en" in model.languages for model in info.models)
        assert info.model("no such model") == info.models[0]

    def test_warms_up_more_than_once(self, backend: Backend) -> None:
        backend.warm_up()
        backend.warm_up()

    def test_equal_requests_have_equal_keys(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        twin = replace(request_of_speech, samples=request_of_speech.samples.copy())

        assert backend.batch_key(request_of_speech) == backend.batch_key(twin)
        assert hash(backend.batch_key(request_of_speech)) == hash(backend.batch_key(twin))

    def test_answers_each_request_in_order_and_as_if_it_were_alone(
        self, backend: Backend, variants: list[DecodeRequest]
    ) -> None:
        assert len({backend.batch_key(each) for each in variants}) == 1
        alone = [decode(backend, each) for each in variants]
        assert len({join_words(each.words) for each in alone}) == len(variants)

        together = backend.decode_batch(variants)

        assert len(together) == len(variants)
        for one, other in zip(alone, together, strict=True):
            self.assert_same(one, other)

    def test_keeps_no_state_between_calls(
        self, backend: Backend, variants: list[DecodeRequest]
    ) -> None:
        first = decode(backend, variants[0])
        for each in (*variants, replace(variants[0], prompt="Something else entirely.")):
            backend.decode_batch([each])

        self.assert_same(decode(backend, variants[0]), first)

    def test_times_lie_in_the_window_and_do_not_go_back(
        self, backend: Backend, variants: list[DecodeRequest]
    ) -> None:
        for each in variants:
            words = decode(backend, each).words
            times = [time for word in words for time in (word.start, word.end)]

            assert words
            assert times == sorted(times)
            assert times[0] >= each.start - TIME_STEP_S
            assert times[-1] <= each.end + TIME_STEP_S
            assert all(0 <= word.probability <= 1 for word in words)

    def test_times_are_on_the_sessions_clock(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        shift = 1_000 * SAMPLE_RATE
        later = replace(request_of_speech, start_sample=START_SAMPLE + shift)

        words = decode(backend, request_of_speech).words
        shifted = decode(backend, later).words

        assert [word.text for word in shifted] == [word.text for word in words]
        np.testing.assert_allclose(
            [word.start - 1_000 for word in shifted], [word.start for word in words], atol=1e-6
        )

    def test_goes_on_after_the_prefix(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        words = decode(backend, request_of_speech).words
        assert len(words) >= 4
        for known in (1, len(words) // 2, len(words)):
            rest = decode(backend, replace(request_of_speech, prefix=words[:known])).words

            assert [word.text for word in rest] == [word.text for word in words[known:]]
            assert all(word.start >= words[known - 1].end - TIME_STEP_S for word in rest)

    def test_the_first_word_has_the_space_that_joins_texts(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        assert decode(backend, request_of_speech).words[0].text.startswith(" ")

    def test_says_when_the_tokens_did_not_suffice(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        full = decode(backend, request_of_speech)
        short = decode(backend, replace(request_of_speech, max_new_tokens=2))

        assert not full.is_truncated
        assert short.is_truncated
        assert 0 < len(short.words) <= 2

    @pytest.mark.parametrize("duration_s", [0.0, 0.001, 0.5, 3.0])
    def test_silence_gives_no_words(self, backend: Backend, duration_s: float) -> None:
        samples = np.zeros(samples_of(duration_s), dtype=np.float32)
        request = DecodeRequest(samples, START_SAMPLE, DecodeOptions(language="en"))

        assert decode(backend, request).words == ()

    def test_reports_the_language(self, backend: Backend, request_of_speech: DecodeRequest) -> None:
        detecting = replace(request_of_speech, options=DecodeOptions(language=None))

        assert decode(backend, request_of_speech).language == "en"
        assert decode(backend, request_of_speech).language_probability == 1.0
        assert decode(backend, detecting).language == "en"
        assert 0 < decode(backend, detecting).language_probability <= 1.0

    def test_detects_among_candidates(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        others = DecodeOptions(language=None, candidates=("tr", "de"))
        both = DecodeOptions(language=None, candidates=("tr", "en"))

        assert decode(backend, replace(request_of_speech, options=others)).language in {"tr", "de"}
        found = decode(backend, replace(request_of_speech, options=both))
        assert found.language == "en"
        anywhere = decode(backend, replace(request_of_speech, options=DecodeOptions()))
        assert anywhere.language_probability <= found.language_probability <= 1.0

    def test_serves_all_its_workers_at_once(
        self, backend: Backend, variants: list[DecodeRequest]
    ) -> None:
        expected = [decode(backend, each) for each in variants]
        answers: list[tuple[int, Hypothesis]] = []

        def work(turn: int) -> None:
            index = turn % len(variants)
            answers.append((index, decode(backend, variants[index])))

        threads = [
            threading.Thread(target=work, args=(turn,))
            for turn in range(max(2, backend.info.workers))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert len(answers) == len(threads)
        for index, answer in answers:
            self.assert_same(answer, expected[index])

    def test_fails_with_decode_error_only(
        self, backend: Backend, request_of_speech: DecodeRequest
    ) -> None:
        """A window past every limit is refused or cut, but nothing foreign is raised."""
        endless = replace(request_of_speech, samples=np.tile(request_of_speech.samples, 20))
        try:
            backend.batch_key(endless)
            hypothesis = decode(backend, endless)
        except DecodeError:
            return
        assert isinstance(hypothesis, Hypothesis)

    def assert_same(self, one: Hypothesis, other: Hypothesis) -> None:
        """Two decodes of the same window agree; a backend with rounding may override it."""
        assert one == other


def decode(backend: Backend, request: DecodeRequest) -> Hypothesis:
    """The only hypothesis of a batch of one."""
    (hypothesis,) = backend.decode_batch([request])
    return hypothesis
