"""Live captions from a transcription server. ``--help`` shows what it can do."""

import sys

from whisper_streaming.client.cli import main

if __name__ == "__main__":
    sys.exit(main())
