"""What a server measures of itself at the start, and what follows from it over the wire."""

import logging
import time
from collections.abc import Sequence

import pytest

from tests.server.peers import connected, scripted_config, serving, session
from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import LimitSettings
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.engine.calibration import Calibration
from whisper_streaming.engine.live_load import live_windows
from whisper_streaming.engine.model_cost import stock_shape
from whisper_streaming.server import WhisperStreamingServer
from whisper_streaming.server.cli import describe_pace
from whisper_streaming.server.measured import Measured, Pace, bundled_speech

VOCABULARY = 51_865
NOT_LIVE_S = 0.7
"""A call that lasts so long leaves no second session within 2 s."""


class SlowAtFirst(ScriptedBackend):
    """Each model needs ``seconds`` for the first window, which is what is measured of it."""

    def __init__(self, seconds: float, models: Sequence[str] = ("scripted",)) -> None:
        super().__init__(models=models)
        self._seconds = seconds
        self._unmeasured = len(models)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        if self._unmeasured:
            self._unmeasured -= 1
            time.sleep(self._seconds)
        return super().decode_batch(requests)


def capacity_of(server: WhisperStreamingServer) -> dict[str, object]:
    section = server.client_manager.get_status()["capacity"]
    assert isinstance(section, dict)
    return section


async def answer_to_one_more(server: WhisperStreamingServer) -> dict[str, object]:
    async with connected(server) as peer:
        return await peer.send_options()


# -- admission


async def test_a_client_beyond_what_the_machine_carries_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "whisper_streaming.server")
    config = scripted_config(calibration_s=0.1, max_clients=2, max_connection_time_s=60)
    async with serving(config, SlowAtFirst(NOT_LIVE_S)) as server:
        assert "measured scripted: real-time factor" in caplog.text
        capacity = capacity_of(server)
        assert capacity["estimated_sessions"] == 1
        # Between them, on a busy machine: that even one session is too many.
        measured, *_, advice = describe_pace(server)
        assert measured.startswith("measured scripted: real-time factor ")
        assert advice.startswith("While 1 of the 2 clients speak, the next one is told to wait")
        assert "--set limits.measured_admission=false" in advice
        async with session(server) as peer:
            wait = await answer_to_one_more(server)
            assert wait["status"] == "WAIT"
            assert isinstance(wait["message"], float)
            assert 0.9 < wait["message"] <= 1.0
            assert server.client_manager.get_status()["refused_clients"] == 1
            # The one that runs is not touched.
            await peer.send_audio(spoken(["still", "here."]))
            assert await peer.finish() == "still here."
        assert (await answer_to_one_more(server))["message"] == "SERVER_READY"


async def test_measured_admission_can_be_turned_off_and_the_numbers_stay() -> None:
    config = scripted_config(calibration_s=0.1, max_clients=2, measured_admission=False)
    async with serving(config, SlowAtFirst(NOT_LIVE_S)) as server:
        assert capacity_of(server)["estimated_sessions"] == 1
        async with session(server), session(server):
            assert (await answer_to_one_more(server))["status"] == "WAIT"


async def test_a_fast_machine_is_limited_by_its_places_alone() -> None:
    config = scripted_config(calibration_s=0.1, max_clients=2)
    async with serving(config) as server:
        assert len(list(describe_pace(server))) == 1
        estimated = capacity_of(server)["estimated_sessions"]
        assert isinstance(estimated, int)
        assert estimated > 2
        async with session(server), session(server):
            assert (await answer_to_one_more(server))["status"] == "WAIT"


async def test_without_a_measurement_there_are_no_numbers() -> None:
    async with serving(scripted_config(calibration_s=0)) as server:
        assert server.measured is None
        assert list(describe_pace(server)) == []
        assert "capacity" not in server.client_manager.get_status()
        async with connected(server) as peer:
            assert "rtf" not in await peer.send_options()


async def test_each_model_tells_its_clients_its_own_pace() -> None:
    config = scripted_config(calibration_s=0.1)
    async with serving(config, SlowAtFirst(1.05, ("slow", "other"))) as server:
        assert server.measured is not None
        async with session(server, model="other") as peer:
            ready = peer.messages[0]
            assert ready["rtf"] == pytest.approx(server.measured.pace("other").rtf, abs=1e-3)
            assert "too slow" in str(ready["notice"])
        warnings = [line for line in describe_pace(server) if "too slow" in line]
        assert [line.split("'")[1] for line in warnings] == ["slow", "other"]


# -- what it says


PROFILE = StreamingProfile()


def info(rtf_of: str, threads: int, cores: int) -> BackendInfo:
    model = ModelInfo(rtf_of, ("en",), False, PROFILE, shape=stock_shape(rtf_of, VOCABULARY))
    return BackendInfo("faster_whisper", (model,), 1, 8, threads_per_worker=threads, cores=cores)


def measured(model: str, window_s: float, *, threads: int = 2, cores: int = 2) -> Measured:
    windows = live_windows(PROFILE)
    times = {window.bucket_s: {1: window_s} for window in windows}
    calibration = Calibration(model, windows, times, 1)
    return Measured({model: calibration}, info(model, threads, cores))


def test_a_model_that_is_too_slow_is_told_of_with_the_one_to_take() -> None:
    warning = measured("small", 2.3).pace("small").warning

    assert warning == (
        "The model 'small' is too slow for this machine (real-time factor 2.30): captions come "
        "about every 2.30 s. 'base' is the largest model that it carries live."
    )


def test_a_model_that_is_just_too_slow_is_not_the_one_to_take() -> None:
    """On one of 16 cores: on all of them it would do."""
    warning = measured("small", 1.04, threads=1, cores=16).pace("small").warning

    assert warning == (
        "The model 'small' is too slow for this machine (real-time factor 1.04): captions come "
        "about every 1.04 s. 'base' is the largest model that it carries live."
    )


def test_a_machine_that_is_too_slow_for_all_says_so() -> None:
    warning = measured("tiny", 9.0).pace("tiny").warning

    assert warning is not None
    assert warning.endswith("No stock model is carried live here.")


def test_a_model_that_keeps_up_needs_no_warning() -> None:
    assert Pace("base", 1.0, "base").warning is None


def test_the_status_section_is_complete() -> None:
    assert measured("base", 0.25).describe() == {
        "model": "base",
        "decode_s": {"15": {"1": 0.25}, "30": {"1": 0.25}},
        "workers": 1,
        "rtf": 0.25,
        "largest_live_model": "base",
        "estimated_sessions": 3,
        "is_overloaded": False,
    }


def test_the_bundled_recording_is_speech_with_words_in_their_places() -> None:
    speech = bundled_speech()

    assert len(speech.samples) > 30 * 16_000
    assert speech.words[0].text == " Sherlock"
    assert speech.words[-1].end <= len(speech.samples) / 16_000
    word = speech.words[1]
    spoken_part = speech.samples[round(word.start * 16_000) : round(word.end * 16_000)]
    assert abs(spoken_part).max() > 0.05


def test_the_time_for_it_is_a_setting() -> None:
    assert LimitSettings().calibration_s == 1.5
    assert LimitSettings().measured_admission
