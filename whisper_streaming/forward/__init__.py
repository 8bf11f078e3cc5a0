"""Forwarding of completed segments to an HTTP service."""

from whisper_streaming.config import ForwardSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.forward.forwarder import Forwarder
from whisper_streaming.forward.sender import HttpSender
from whisper_streaming.forward.target import read_target

__all__ = ["Forwarder", "create_forwarder"]


def create_forwarder(settings: ForwardSettings, rules: SegmentRules) -> Forwarder | None:
    """A forwarder to the service of the settings; None if they name none. Reads certificates.

    Raises:
        ForwardingError: If the URL is none that can be posted to.
    """
    target = read_target(settings)
    if target is None:
        return None
    return Forwarder(settings, rules, HttpSender(target, settings), shown=target.shown)
