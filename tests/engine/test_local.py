"""The decoder in this process: warm up first, close last."""

import asyncio

import pytest

from tests.fakes import GatedBackend, hypothesis_of, request_named
from whisper_streaming.engine.local import open_local_decoder
from whisper_streaming.engine.scheduler import SchedulerConfig
from whisper_streaming.errors import DecodeTimeout, ModelLoadError


class WarmBackend(GatedBackend):
    is_warm = False

    def warm_up(self) -> None:
        self.is_warm = True


class ColdBackend(GatedBackend):
    def warm_up(self) -> None:
        raise ModelLoadError("broken weights")


async def test_warms_up_before_and_closes_after() -> None:
    backend = WarmBackend()
    backend.open()

    async with open_local_decoder(backend) as decoder:
        assert backend.is_warm
        assert not backend.is_closed
        assert await decoder.decode(request_named("a")) == hypothesis_of("a")

    assert backend.is_closed
    assert not decoder.healthy


async def test_a_failed_warm_up_is_raised_and_closes_the_backend() -> None:
    backend = ColdBackend()

    with pytest.raises(ModelLoadError, match="broken weights"):
        async with open_local_decoder(backend):
            raise AssertionError("not reached")

    assert backend.is_closed


async def test_a_backend_in_which_a_decode_hangs_is_not_closed_under_it() -> None:
    backend = WarmBackend()
    config = SchedulerConfig(decode_timeout_s=0.05, close_timeout_s=0.05)

    async with open_local_decoder(backend, config) as decoder:
        with pytest.raises(DecodeTimeout):
            await decoder.decode(request_named("hangs"))

    assert not backend.is_closed
    backend.open()
    await asyncio.sleep(0)
