"""When words become final: LocalAgreement-2 and EdgeCommit, same model, same audio, one run.

Everything is on the audio clock, where decodes take no time, so that the policies are compared and
not the machine; a busy server updates less often, which is what the longer intervals show. Three
ways: LocalAgreement-2 through faster_whisper's transcribe, as whisper_streaming does it;
LocalAgreement-2 on short windows with a forced prefix, as this server decodes; and EdgeCommit with
the numbers of the model's profile.

  whisper-streaming bench policy
  whisper-streaming bench policy --audio tests/data --match 'en-[1-6]*' --ticks 0.3 0.6 1.0
  whisper-streaming bench policy --model ./my-model --audio my-recordings \\
      --write-profile my-model

With --write-profile the offset of the model's word times is measured, a small grid of window rules
and margins is tried, and the best is written for servers that load the model from that folder.
It takes as long as the decodes: two minutes for the embedded model, an hour for large ones.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import DEMO, StreamingProfile
from whisper_streaming.backends.model_store import resolve_model
from whisper_streaming.backends.profile import PROFILE_NAME, write_profile
from whisper_streaming.bench.metered import MeteredBackend
from whisper_streaming.bench.offline import (
    decode_offline,
    offline_details,
    offline_note,
    speech_probabilities,
)
from whisper_streaming.bench.output_file import check_output_file
from whisper_streaming.bench.plain_transcribe import PlainTranscriber
from whisper_streaming.bench.policy_tuning import Stage, Trial, tune
from whisper_streaming.bench.progress import tracked
from whisper_streaming.bench.recordings import (
    Recording,
    add_recording_arguments,
    chosen_recordings,
)
from whisper_streaming.bench.report import Chart, Column, Report, Row, Series
from whisper_streaming.bench.scoring import Score, score, totals
from whisper_streaming.cli_flags import above_zero, at_least_zero
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.policy import CommitPolicy, LocalAgreement
from whisper_streaming.errors import ConfigurationError

COLUMNS = (
    Column("Policy", "{policy}"),
    Column("Update every", "{tick_s:g} s"),
    Column("Word error rate", "{wer:.1%}"),
    Column("Commit p50 / p95", "{commit_p50_s:.2f} / {commit_p95_s:.2f} s"),
    Column("First partial p50 / p95", "{first_p50_s:.2f} / {first_p95_s:.2f} s"),
    Column("Erasure", "{erasure:.2f}"),
    Column("Lost tail", "{lost_tail}"),
    Column("CPU per audio second", "{cpu_s_per_audio_s:.3f} s"),
)
TRANSCRIBE = "LocalAgreement-2 through transcribe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument(
        "--model", default=DEMO, help="a name, hub id or CTranslate2 folder (default: demo)"
    )
    parser.add_argument(
        "--ticks", nargs="+", type=above_zero, default=[0.3, 1.0], metavar="SECONDS",
        help="intervals between updates (default: 0.3 1.0)",
    )  # fmt: skip
    parser.add_argument(
        "--transcribe-tick", type=at_least_zero, default=1.0, metavar="SECONDS",
        help="the same for LocalAgreement-2 through transcribe, whose decodes cost many times as "
        "much (default: 1.0, that of whisper_streaming); 0 leaves it out",
    )  # fmt: skip
    parser.add_argument(
        "--write-profile", type=Path, metavar="FOLDER",
        help=f"also tune the model's profile on these recordings and write {PROFILE_NAME}, which "
        "servers read beside the model, to this folder",
    )  # fmt: skip
    add_recording_arguments(parser)


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        WhisperStreamingError: If a flag is wrong, or a recording or the model cannot be had.
    """
    profile_path = _profile_path(arguments.write_profile)
    recordings = chosen_recordings(arguments)
    probabilities = {each.name: speech_probabilities(each) for each in recordings}
    settings = BackendSettings(models=(arguments.model,), device="cpu", workers=1, threads=1)
    with closing(MeteredBackend(create_backend(settings))) as backend:
        stage = Stage(backend, recordings, probabilities)
        tuning = None if profile_path is None else tune(stage, arguments.ticks)
        profile = stage.profile if tuning is None else tuning.profile
        if profile_path is not None:
            write_profile(profile, profile_path)
        rows = [
            *_transcribed(arguments, recordings, probabilities),
            *_played(stage, profile, arguments.ticks),
        ]
        offline = decode_offline(backend, recordings)
    return Report(
        title=f"Commit policies, model {arguments.model}, {len(recordings)} recordings",
        columns=COLUMNS,
        rows=rows,
        notes=[
            offline_note(offline),
            "On the audio clock: decodes take no time. CPU is that of the decodes, on one thread.",
            *(tuning.notes if tuning is not None else ()),
            *(() if profile_path is None else (f"The profile is in {profile_path}.",)),
        ],
        charts=[
            _chart(rows, "commit_p95_s", "seconds after the word ended"),
            _chart(rows, "wer", "errors per word"),
        ],
        details={
            **offline_details(offline),
            "trials": [trial.as_row() for trial in tuning.trials] if tuning is not None else [],
        },
    )


def _profile_path(given: Path | None) -> Path | None:
    """Where the profile goes; ``given`` is a folder, or a file with the only name that is read.

    Raises:
        ConfigurationError: If it can not be written there, or would not be read.
    """
    if given is None:
        return None
    path = given / PROFILE_NAME if given.is_dir() else given
    if path.name != PROFILE_NAME:
        raise ConfigurationError(f"servers read a profile from {PROFILE_NAME} only, not {given}")
    check_output_file(path, "profile")
    return path


def _played(stage: Stage, profile: StreamingProfile, ticks: Sequence[float]) -> list[Row]:
    """The rows of our own policies, with the numbers of ``profile``."""
    commit = profile.commit
    policies: dict[str, CommitPolicy] = {
        f"LocalAgreement-{commit.agreement}, short windows": LocalAgreement(commit.agreement),
        "EdgeCommit": commit,
    }
    return [
        {"policy": name, **stage.play(policy, profile.window, tick_s).as_row()}
        for name, policy in policies.items()
        for tick_s in tracked(ticks, name)
    ]


def _transcribed(
    arguments: argparse.Namespace,
    recordings: Sequence[Recording],
    probabilities: Mapping[str, FloatArray],
) -> list[Row]:
    """The row of LocalAgreement-2 through ``transcribe``, unless it was left out."""
    tick_s: float = arguments.transcribe_tick
    if tick_s <= 0:
        return []
    transcriber = PlainTranscriber(resolve_model(arguments.model).path)
    scores: list[Score] = []
    cpu_s = 0.0
    for each in tracked(recordings, TRANSCRIBE):
        heard = transcriber.hear(each, probabilities[each.name], tick_s)
        scores.append(score(each, heard.captions, heard.text))
        cpu_s += heard.cpu_s
    trial = Trial("", tick_s, totals(scores), cpu_s / sum(each.duration_s for each in recordings))
    return [{"policy": TRANSCRIBE, **trial.as_row()}]


def _chart(rows: Sequence[Row], key: str, unit: str) -> Chart:
    names = dict.fromkeys(str(row["policy"]) for row in rows)
    series = []
    for name in names:
        points = [
            (tick_s, value)
            for row in rows
            if row["policy"] == name
            and isinstance(tick_s := row["tick_s"], float)
            and isinstance(value := row[key], float)
        ]
        series.append(Series(name, tuple(sorted(points))))
    title = {"commit_p95_s": "Commit latency of 95 % of the words", "wer": "Word error rate"}[key]
    return Chart(title, "seconds between updates", unit, tuple(series))
