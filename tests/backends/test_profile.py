"""How a model likes to be streamed: the file beside it, and the careful defaults without one."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Final

import pytest

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.backends.profile import load_profile, write_profile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.core.policy import EdgeCommit
from whisper_streaming.errors import ConfigurationError, ModelLoadError

TUNING: Final = Path(__file__).parents[2] / "docs" / "tuning.md"


def test_a_model_without_a_profile_is_streamed_with_care(tmp_path: Path) -> None:
    profile = load_profile(tmp_path)

    assert profile == StreamingProfile()
    assert profile.bucket_s(3.0) == 15.0
    assert profile.bucket_s(3.0, is_last=True) == 30.0
    assert profile.pads_last_windows
    assert (profile.policy, profile.commit) == ("edge_commit", EdgeCommit(2, 0.3, 0.6, 0.5, None))


def test_the_embedded_model_ends_utterances_in_short_windows() -> None:
    profile = load_profile(DEMO_PATH)

    assert profile.bucket_s(3.0) == 3.0
    assert profile.bucket_s(3.0, is_last=True) == 3.0
    assert not profile.pads_last_windows


def test_a_profile_overrides_what_it_names(tmp_path: Path) -> None:
    fields = {
        "window_buckets_s": [5, 10],
        "final_bucket_s": 7,
        "window": {"max_window_s": 9.0},
        "policy": "local_agreement",
        "commit": {"agreement": 3, "certain_margin_s": 0.2},
    }
    (tmp_path / "streaming.json").write_text(json.dumps(fields), encoding="utf-8")

    profile = load_profile(tmp_path)

    assert profile == StreamingProfile(
        window_buckets_s=(5, 10),
        final_bucket_s=7,
        window=WindowRules(max_window_s=9.0),
        policy="local_agreement",
        commit=EdgeCommit(agreement=3, certain_margin_s=0.2),
    )
    assert profile.bucket_s(1.0) == 5
    assert profile.bucket_s(1.0, is_last=True) == 10


def test_translations_may_have_windows_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "streaming.json"
    path.write_text('{"window": {"trim_window_s": 3}, "translation_window": {"trim_window_s": 8}}')

    profile = load_profile(tmp_path)

    assert profile.window_rules("transcribe") == WindowRules(trim_window_s=3)
    assert profile.window_rules("translate") == WindowRules(trim_window_s=8)
    assert StreamingProfile().window_rules("translate") == WindowRules()


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(StreamingProfile(), id="the careful one"),
        pytest.param(load_profile(DEMO_PATH), id="that of the embedded model"),
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, profile: StreamingProfile) -> None:
    write_profile(profile, tmp_path / "streaming.json")

    assert load_profile(tmp_path) == profile


def test_every_field_is_documented() -> None:
    lines = TUNING.read_text("utf-8").splitlines()
    named = {line.split("`")[1]: line.split("|")[2] for line in lines if line.startswith("| `")}
    windows = {f"window.{each.name}": each.default for each in fields(WindowRules)}
    plain = {
        each.name: each.default for each in fields(StreamingProfile) if each.default is not MISSING
    }

    for name, default in {**plain, **windows}.items():
        assert json.loads(named[name].strip(" `")) == json.loads(json.dumps(default)), name
    assert {"commit", "translation_commit"} <= named.keys()


def test_a_profile_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no such folder" / "streaming.json"

    with pytest.raises(ConfigurationError, match=r"cannot write .*streaming\.json"):
        write_profile(StreamingProfile(), path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_profile_and_nothing_else(tmp_path: Path) -> None:
    write_profile(StreamingProfile(bucket_pad_s=0.25), tmp_path / "streaming.json")
    (tmp_path / "streaming.json.partial").symlink_to("/dev/full")

    with pytest.raises(ConfigurationError, match="No space left"):
        write_profile(StreamingProfile(), tmp_path / "streaming.json")

    assert load_profile(tmp_path).bucket_pad_s == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["streaming.json"]


@pytest.mark.parametrize(
    ("profile", "complaint"),
    [
        ('[["window"]]', "it is [['window']], not an object"),
        ('{"window": {"longest": 3}}', "window has no field 'longest'"),
        ('{"window": {"keep_words": "4"}}', "keep_words is '4', not a whole number"),
        ('{"commit": {"sure_margin_s": null}}', "sure_margin_s is None, not a number"),
        ('{"policy": "align_att"}', "policy is 'align_att', none of local_agreement, edge_commit"),
        ('{"bucket_pad_s": Infinity}', "bucket_pad_s is inf, not a finite number"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(tmp_path: Path, profile: str, complaint: str) -> None:
    path = tmp_path / "streaming.json"
    path.write_text(profile, encoding="utf-8")

    with pytest.raises(ModelLoadError) as failure:
        load_profile(tmp_path)

    assert str(failure.value) == f"{path} is not a streaming profile: {complaint}"


def test_a_profile_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "streaming.json").mkdir()

    with pytest.raises(ModelLoadError, match=r"streaming\.json is not a streaming profile"):
        load_profile(tmp_path)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param("{", id="not JSON"),
        pytest.param("[1]", id="a list"),
        pytest.param('{"windows": {}}', id="unknown field"),
        pytest.param('{"window": {"longest": 3}}', id="unknown field of the window"),
        pytest.param('{"window": 3}', id="a number for an object"),
        pytest.param('{"window_buckets_s": 5}', id="a number for a list"),
        pytest.param(
            '{"translation_window": {"max_window_s": 31}}', id="translations too long for a bucket"
        ),
        pytest.param('{"window_buckets_s": []}', id="no bucket"),
        pytest.param('{"prompt_lengths": [16, 0]}', id="prompt lengths that do not ascend"),
        pytest.param('{"window": {"max_window_s": 31}}', id="a window longer than all buckets"),
        pytest.param('{"window": {"keep_words": 0}}', id="no words kept"),
        pytest.param('{"final_bucket_s": -1}', id="a negative length"),
        pytest.param('{"final_bucket_s": "30"}', id="a text for a length"),
        pytest.param('{"policy": "align_att"}', id="unknown policy"),
        pytest.param('{"policy": {"kind": "edge_commit"}}', id="an object for a policy"),
        pytest.param('{"commit": {"tau": 0.5}}', id="unknown number of the policy"),
        pytest.param('{"commit": 0.5}', id="a number for the numbers"),
        pytest.param('{"commit": {"agreement": 1}}', id="one hypothesis agrees with itself"),
        pytest.param('{"commit": {"agreement": 2.5}}', id="half a hypothesis"),
        pytest.param('{"commit": {"sure_margin_s": -0.1}}', id="a margin behind the end"),
        pytest.param('{"commit": {"certain_margin_s": -0.1}}', id="another one"),
        pytest.param('{"commit": {"sure_margin_s": null}}', id="a margin that must be there"),
        pytest.param('{"commit": {"sure_probability": 97}}', id="percents"),
        pytest.param('{"window": null}', id="nothing for an object"),
        pytest.param('{"window_buckets_s": [0, 30]}', id="a bucket without room"),
        pytest.param('{"window_buckets_s": [15, 60]}', id="a bucket longer than any Whisper has"),
        pytest.param('{"window_buckets_s": ["15", "30"]}', id="texts for lengths"),
        pytest.param('{"bucket_pad_s": -2}', id="buckets shorter than their windows"),
        pytest.param('{"bucket_pad_s": NaN}', id="no number"),
        pytest.param('{"final_bucket_s": 1e400}', id="no finite number"),
        pytest.param(f'{{"final_bucket_s": 1{"0" * 400}}}', id="a number beyond all numbers"),
        pytest.param('{"final_bucket_s": true}', id="a truth for a length"),
        pytest.param('{"word_time_offset_s": "0.1"}', id="a text for an offset"),
        pytest.param('{"prompt_lengths": [-16, 0]}', id="fewer tokens than none"),
        pytest.param('{"prompt_lengths": [0, 0.5]}', id="half a token"),
        pytest.param('{"prompt_lengths": [0, 400]}', id="no room for text behind the context"),
        pytest.param('{"window": {"max_window_s": 1}}', id="a window that cannot move on"),
        pytest.param('{"window": {"trim_window_s": "3"}}', id="a text for a window"),
        pytest.param('{"window": {"trim_window_s": -3}}', id="a window below 0 s"),
        pytest.param('{"window": {"keep_words": 2.5}}', id="half a word"),
        pytest.param('{"window": {"joined_s": 29}}', id="joined beyond a window"),
        pytest.param('{"translation_commit": {"agreement": 1}}', id="a translation that agrees"),
    ],
)
def test_a_broken_profile_is_named(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "streaming.json"
    path.write_text(profile, encoding="utf-8")

    with pytest.raises(ModelLoadError) as failure:
        load_profile(tmp_path)

    assert str(path) in str(failure.value)
