"""Many sessions in which nothing is said, on a real port with the real detector."""

import asyncio
from collections.abc import Sequence

import numpy as np

from tests.server.peers import connected, serving
from whisper_streaming.backends.scripted import ScriptedBackend
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig, VadSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.server import WhisperStreamingServer

SESSIONS = 24
CHUNKS = 30
CHUNK_SAMPLES = 1600
SAMPLES = CHUNKS * CHUNK_SAMPLES


class CountingBackend(ScriptedBackend):
    """Counts the windows that it is asked for."""

    windows = 0

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.windows += len(requests)
        return super().decode_batch(requests)


def room_noise(seed: int) -> FloatArray:
    """Noise at -60 dBFS: above digital silence, so the network has to judge it."""
    noise = np.random.default_rng(seed).standard_normal(SAMPLES)
    return (1e-3 * noise).astype(np.float32)


async def quiet_session(server: WhisperStreamingServer, samples: FloatArray) -> dict[str, object]:
    """Send ``samples`` and give the summary that the server sends in the end."""
    async with connected(server) as peer:
        await peer.send_options(summary=True, use_vad=True)
        await peer.send_audio(samples, CHUNK_SAMPLES)
        assert await peer.finish() == ""
    [summary] = [each for each in peer.messages if each.get("message") == "SESSION_SUMMARY"]
    return summary


async def test_quiet_sessions_cost_no_decode_and_every_sample_is_accounted_for() -> None:
    backend = CountingBackend()
    config = ServerConfig(
        host="127.0.0.1",
        port=0,
        backend=BackendSettings(kind="scripted"),
        vad=VadSettings(detector="silero"),
        limits=LimitSettings(max_clients=SESSIONS, calibration_s=0),
    )
    sounds = [np.zeros(SAMPLES, dtype=np.float32), room_noise(1)] * (SESSIONS // 2)
    async with serving(config, backend) as server:
        windows_before = backend.windows  # the warm-up
        summaries = await asyncio.gather(*(quiet_session(server, sound) for sound in sounds))
        status = server.client_manager.get_status()

    assert backend.windows == windows_before
    for summary in summaries:
        account = {name: summary[name] for name in ("received", "decoded", "silence", "gap")}
        assert account == {"received": SAMPLES, "decoded": 0, "silence": SAMPLES, "gap": 0}
    vad, event_loop = status["vad"], status["event_loop"]
    assert isinstance(vad, dict)
    assert isinstance(event_loop, dict)
    # Every chunk of noise holds a whole frame at least; silence is judged for its first second.
    assert vad["chunks"] == SESSIONS // 2 * (CHUNKS + 11)
    assert vad["failures"] == 0
    assert vad["largest_run"] > 1
    assert vad["runs"] < vad["chunks"]
    assert event_loop["samples"] > 0
    assert event_loop["stall_p50_s"] <= event_loop["stall_p99_s"] <= event_loop["stall_max_s"]
    assert status["current_clients"] == 0
