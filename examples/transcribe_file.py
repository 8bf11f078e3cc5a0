"""Transcribe a recording and write subtitles beside it.

    python examples/transcribe_file.py talk.mp3

Needs a running server: python run_websocket_server.py
"""

import argparse
import sys
from pathlib import Path

from whisper_streaming.client import ClientError, TranscriptionClient
from whisper_streaming.client.subtitles import FORMATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="any format that FFmpeg knows")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=9090)
    arguments = parser.parse_args()

    # Not at the pace of speech, but as fast as the server takes it.
    client = TranscriptionClient(arguments.host, arguments.port, realtime=False)
    try:
        result = client(arguments.file)
    except ClientError as error:  # no server, no such file, a server that is full ...
        sys.exit(str(error))
    print(result.text)
    subtitles = arguments.file.with_suffix(".srt")
    subtitles.write_text(FORMATS["srt"](result), encoding="utf-8")
    print(f"wrote {subtitles}")


if __name__ == "__main__":
    main()
