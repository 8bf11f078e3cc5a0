"""``python -m whisper_streaming`` is the console command."""

import sys

from whisper_streaming.cli import main

if __name__ == "__main__":
    sys.exit(main())
