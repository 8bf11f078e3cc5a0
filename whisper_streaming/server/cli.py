"""The command that starts the server: ``python run_websocket_server.py``."""

import argparse
import logging
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, get_args

from whisper_streaming.cli_flags import FlagParser, print_text, program_name, stop_printing
from whisper_streaming.config import ServerConfig, load_config, read_assignments
from whisper_streaming.core.policy import PolicyKind
from whisper_streaming.errors import ConfigurationError, OutputError, WhisperStreamingError
from whisper_streaming.machine import allow_many_files
from whisper_streaming.server.listen import EVERY_ADDRESS, network_addresses
from whisper_streaming.server.logs import setup_logging
from whisper_streaming.server.websocket_server import WhisperStreamingServer
from whisper_streaming.version import __version__

INTERRUPTED: Final = 130

_BACKENDS: Final = ("faster_whisper", "scripted", "whisperx")
_VAD_HYSTERESIS: Final = 0.15
"""How far below the threshold speech goes on; Silero's own default."""
_NOTICE_WIDTH: Final = 88
_WHISPERX_FLAGS: Final = {
    "alignment.models": "--align-model",
    "hub.token": "--huggingface-token",
}

_EXAMPLES: Final = """\
examples:
  %(prog)s                                  the model small if it can be had, else the embedded one
  %(prog)s --model demo                     the embedded model: synthetic voices only, no network
  %(prog)s --host 0.0.0.0 --model medium --max-clients 10 --max-connection-time 1800
  %(prog)s --model small --model medium     two models; clients choose by name, the first is default
  %(prog)s --host 0.0.0.0 --ssl-certfile cert.pem --ssl-keyfile key.pem
                                            encrypted, so that phones give the page their microphone
  %(prog)s --language auto --task translate detect each speaker's language, write English
  %(prog)s --translator-model opus-mt-de-fr  German also in French, for clients that ask for it
  %(prog)s --forward-url http://localhost:8000/captions --max-messages 5
                                            final segments as JSON to a service, five in a post
  %(prog)s --record-dir records --record-keep-days 30
                                            files of each session: captions, words, events
  %(prog)s --config server.toml --set policy.min_chunk_s=0.5

Settings come from, last wins: defaults, --config FILE.toml, environment variables such as
WHISPER_STREAMING__LIMITS__MAX_CLIENTS=8, flags. docs/settings.md lists all of them.
Exit status: 0 stopped in order, 1 it cannot run, 2 wrong settings.
"""


logger = logging.getLogger("whisper_streaming.server")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or Ctrl-C; returns the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        config = load_config(
            flags=flags_of(arguments), toml_path=arguments.config, environ=os.environ
        )
        _check_whisperx(arguments, config)
        setup_logging(config.log_level)
        allow_many_files()
        WhisperStreamingServer(config).run(on_started=announce)
    except WhisperStreamingError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All flags of the server. None of them has a default: what is not given is not set."""
    parser = FlagParser(
        prog=program_name("run_websocket_server.py", "serve"),
        description="Live transcription server: speaks the WhisperLive protocol over WebSockets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"whisper-streaming {__version__}")
    _add_network_flags(parser.add_argument_group("who may connect"))
    _add_model_flags(parser.add_argument_group("model"))
    _add_session_flags(parser.add_argument_group("defaults of sessions that do not say"))
    _add_speaker_flags(parser.add_argument_group("who speaks"))
    _add_forwarding_flags(parser.add_argument_group("forwarding of final segments"))
    _add_record_flags(parser.add_argument_group("records of sessions"))
    _add_general_flags(parser.add_argument_group("general"))
    _add_whisperx_flags(parser.add_argument_group("whisperx only"))
    return parser


def flags_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The given flags as dotted names of settings.

    Raises:
        ConfigurationError: If a ``--set`` is not ``GROUP.FIELD=VALUE``.
    """
    given = vars(arguments)
    # The parser's other destinations are no settings.
    flags = {
        name: given[name] for name in given if name.partition(".")[0] in ServerConfig.model_fields
    }
    if "vad.threshold" in flags:
        # One flag moves both, else a low threshold would contradict the default release.
        flags["vad.release"] = max(0.0, given["vad.threshold"] - _VAD_HYSTERESIS)
    return {**flags, **read_assignments(given.get("set", ()))}


def _add_network_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("-H", "--host", help="address to listen on (default: localhost)")
    group.add_argument("-p", "--port", help="port; 0 picks a free one (default: 9090)")
    group.add_argument(
        "--ssl-certfile",
        dest="tls.certfile",
        metavar="FILE",
        help="PEM file with the server's certificate: https:// and wss:// only",
    )
    group.add_argument(
        "--ssl-keyfile",
        dest="tls.keyfile",
        metavar="FILE",
        help="PEM file with its private key, unless the certificate's file holds it",
    )
    group.add_argument(
        "--no-pages",
        dest="pages",
        action="store_false",
        help="no captions page at / and no operator's page at /status for browsers",
    )
    group.add_argument(
        "--max-clients",
        dest="limits.max_clients",
        metavar="N",
        help="sessions at the same time; the next one is told to wait (default: 4)",
    )
    group.add_argument(
        "--max-connection-time",
        dest="limits.max_connection_time_s",
        metavar="SECONDS",
        help="longest session, idle or not (default: 600)",
    )


def _add_model_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-b",
        "--backend",
        dest="backend.kind",
        type=lambda name: name.replace("-", "_"),
        choices=_BACKENDS,
        help="what transcribes (default: faster_whisper)",
    )
    group.add_argument(
        "-m",
        "--model",
        dest="backend.models",
        metavar="MODEL",
        action="append",
        help="demo (embedded), tiny ... large-v3, turbo, distil-*, a hub id, or a CTranslate2 "
        "folder; may be given several times (default: small if it can be had, else demo)",
    )
    group.add_argument(
        "--device",
        dest="backend.device",
        metavar="DEVICE",
        help="auto, cpu or cuda (default: auto)",
    )
    group.add_argument(
        "-ng",
        "--no-gpu",
        dest="backend.device",
        action="store_const",
        const="cpu",
        help="the same as --device cpu",
    )
    group.add_argument(
        "--compute-type",
        dest="backend.compute_type",
        metavar="TYPE",
        help="CTranslate2 type such as int8, float16 (default: int8 on a CPU, float16 on a GPU)",
    )
    group.add_argument(
        "-t", "--threads", dest="backend.threads", metavar="N", help="CPU threads (default: all)"
    )
    group.add_argument(
        "-bs",
        "--beam-size",
        dest="backend.beam_size",
        metavar="N",
        help="beam of the last decode of an utterance (default: 1)",
    )


def _add_session_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-l",
        "--language",
        help="spoken language as a Whisper code, several with commas to detect it among them, or "
        "auto (default: en)",
    )
    group.add_argument(
        "--language-lock",
        dest="policy.language_lock",
        choices=("session", "utterance"),
        help="keep a detected language for the session, or for the utterance only, where people "
        "change languages (default: session)",
    )
    group.add_argument("--task", help="transcribe, or translate to English (default: transcribe)")
    group.add_argument(
        "-tr",
        "--translate",
        dest="task",
        action="store_const",
        const="translate",
        help="the same as --task translate",
    )
    _add_translation_flags(group)
    group.add_argument(
        "--policy",
        dest="policy.kind",
        type=lambda name: name.replace("-", "_"),
        choices=get_args(PolicyKind),
        help="when words become final: edge_commit, or local_agreement, which waits for a second "
        "decode (default: the model's profile decides)",
    )
    group.add_argument(
        "--use-vad",
        dest="vad.enabled",
        action="store_true",
        help="keep audio without speech from the model (default)",
    )
    group.add_argument(
        "--no-vad", dest="vad.enabled", action="store_false", help="give all audio to the model"
    )
    group.add_argument(
        "-vth",
        "--vad-thold",
        dest="vad.threshold",
        type=float,
        metavar="P",
        help="speech starts at this probability (default: 0.5)",
    )


def _add_translation_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--target-language",
        dest="translation.target_language",
        metavar="CODE",
        help="translate their words to this language, beside the words (default: none)",
    )
    group.add_argument(
        "--translator-model",
        dest="translation.models",
        action="append",
        metavar="PATH[:FROM-TO]",
        help="translation model for sessions that ask for a target_language: a folder in "
        "CTranslate2's format, OPUS-MT (opus-mt-tr-en, or PATH:tr-en) or NLLB; may be given several"
        " times. English needs none: the loaded model hears every sentence a second time",
    )


def _add_speaker_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--enable-diarization",
        dest="diarization.enabled",
        action="store_true",
        help="label final words with who speaks: SPEAKER_00, SPEAKER_01, ...",
    )
    group.add_argument(
        "--min-speakers",
        dest="diarization.min_speakers",
        metavar="N",
        help="while fewer were heard, a new one is believed more easily (default: 1)",
    )
    group.add_argument(
        "--max-speakers",
        dest="diarization.max_speakers",
        metavar="N",
        help="with so many heard, nobody is taken for a new one (default: 8)",
    )


def _add_forwarding_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-f",
        "--forward-url",
        dest="forward.url",
        metavar="URL",
        help="post the final segments of all sessions to this HTTP service: JSON, or a prompt for "
        "llama.cpp where the path ends in /completion; the environment hides a password better: "
        "WHISPER_STREAMING__FORWARD__URL, WHISPER_STREAMING__FORWARD__SECRET for signatures",
    )
    group.add_argument(
        "-nm",
        "--max-messages",
        dest="forward.max_messages",
        metavar="N",
        help="segments of a session that are collected before a post (default: 1)",
    )
    group.add_argument(
        "--forward-interval",
        dest="forward.interval_s",
        metavar="SECONDS",
        help="fewer are posted when one has waited for so long (default: 5)",
    )


def _add_record_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--record-dir",
        dest="record.dir",
        metavar="DIR",
        help="write what each session says to files there: JSON lines, SRT and VTT",
    )
    group.add_argument(
        "--record-audio",
        dest="record.audio",
        action="store_true",
        help="write the audio that was received, too, as FLAC",
    )
    group.add_argument(
        "--record-keep-days",
        dest="record.keep_days",
        metavar="DAYS",
        help="remove records that are older (default: keep them)",
    )


def _add_general_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--refine-at-end",
        dest="second_pass.enabled",
        action="store_true",
        help="transcribe each session a second time when it has ended, better and not faster, and "
        "send the result as one more message; its audio is kept on disk until then",
    )
    group.add_argument(
        "--text-hook",
        dest="text_hook.name",
        metavar="MODULE:FUNCTION",
        help="a Python function over all text that leaves the server, for redaction and glossaries",
    )
    group.add_argument(
        "--log-level",
        type=str.upper,
        metavar="LEVEL",
        help="DEBUG, INFO, WARNING or ERROR; transcripts appear at DEBUG only (default: INFO)",
    )
    group.add_argument(
        "--config", type=Path, default=None, metavar="FILE.toml", help="settings file"
    )
    group.add_argument(
        "--set",
        action="append",
        metavar="GROUP.FIELD=VALUE",
        help="any setting of docs/settings.md; may be given several times",
    )


def _add_whisperx_flags(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--align-model",
        dest="alignment.models",
        metavar="[LANGUAGE=]MODEL",
        action="append",
        help="measures when words are said: demo (embedded, English), a folder or hub id of a "
        "Wav2Vec2 model, or a name of torchaudio (default: what whisperx knows for the language)",
    )
    group.add_argument(
        "--huggingface-token", dest="hub.token", metavar="TOKEN", help="for models behind a login"
    )


def _check_whisperx(arguments: argparse.Namespace, config: ServerConfig) -> None:
    """Refuse flags that another backend than whisperx does nothing with."""
    for name, flag in _WHISPERX_FLAGS.items():
        if name in vars(arguments) and config.backend.kind != "whisperx":
            raise ConfigurationError(f"{flag} belongs to --backend whisperx; leave it out")


def announce(server: WhisperStreamingServer) -> None:
    """Print where the server listens and what it has; where that fails, it serves all the same."""
    info = server.backend.info
    host = _bracketed(server.config.host or "0.0.0.0")
    models = ", ".join(model.name for model in info.models)
    lines = [
        f"listening on {'wss' if server.is_encrypted else 'ws'}://{host}:{server.port}",
        *_describe_page(server),
        f"engine {info.engine}, {'models' if len(info.models) > 1 else 'model'} {models}, "
        f"{server.client_manager.max_clients} clients at most",
        *describe_pace(server),
        *(_framed(model.notice) for model in info.models if model.notice is not None),
    ]
    try:
        print_text("\n".join(lines) + "\n")
    except (BrokenPipeError, OutputError) as error:
        # A full disk, or nobody at the pipe, must not keep a server from starting again.
        stop_printing()
        logger.warning("the lines for the console are lost: %s", error)


def _describe_page(server: WhisperStreamingServer) -> Iterator[str]:
    """Where the captions page is, as a person types it."""
    if not server.config.pages:
        return
    host, scheme = server.config.host, "https" if server.is_encrypted else "http"
    own = "localhost" if host in EVERY_ADDRESS else _bracketed(host)
    yield f"captions page {scheme}://{own}:{server.port}/"
    note = "" if server.is_encrypted else " (no microphone there without --ssl-certfile)"
    for address in network_addresses(host):
        yield f"in the network {scheme}://{_bracketed(address)}:{server.port}/{note}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def describe_pace(server: WhisperStreamingServer) -> Iterator[str]:
    """Lines for the console: what was measured, and what follows from it for the operator."""
    if server.measured is None:
        return
    yield f"measured {server.measured.summary}"
    paces = (server.measured.pace(model.name) for model in server.backend.info.models)
    yield from (pace.warning for pace in paces if pace.warning is not None)
    limits, sessions = server.config.limits, server.measured.sessions
    if limits.measured_admission and sessions < limits.max_clients:
        yield (
            f"While {sessions} of the {limits.max_clients} clients speak, the next one is told to "
            "wait, because more would get their captions late; they are admitted with "
            "--set limits.measured_admission=false"
        )


def _framed(notice: str) -> str:
    """``notice`` so that nobody overlooks it: captions of nonsense have a reason."""
    rule = "=" * _NOTICE_WIDTH
    text = textwrap.fill(f"WARNING: {notice}", _NOTICE_WIDTH, break_long_words=False)
    return f"{rule}\n{text}\n{rule}"
