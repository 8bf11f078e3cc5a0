"""Codecs: wire messages to commands, events to wire messages. No I/O."""
