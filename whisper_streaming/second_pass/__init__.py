"""A second look at a whole session when it has ended: a better record, no faster one."""

from whisper_streaming.second_pass.stage import SecondPass, SecondPassStage

__all__ = ["SecondPass", "SecondPassStage"]
