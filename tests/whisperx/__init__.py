"""Tests that run where whisperx is installed: ``make test-whisperx``."""
