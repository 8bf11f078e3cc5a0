"""Checks this installation: one line each, ok or the fix, then one real transcription."""

import sys

from whisper_streaming.doctor import main

__test__ = False  # a program, although its name looks like a test module to pytest

if __name__ == "__main__":
    sys.exit(main())
