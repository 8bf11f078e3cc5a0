"""The bodies of posts."""

import json

from tests.forward.builders import facts, post, segment
from whisper_streaming.forward.payload import Post, final_segment, render


def test_json_names_session_and_segments() -> None:
    body = render(post("Hello there.", "Bye.", first=3), "json", 128)

    assert json.loads(body) == {
        "id": "s1.3-4",
        "session": {
            "id": "s1",
            "uid": "client",
            "began": "2026-11-01T12:00:00.250+00:00",
            "model": "demo",
            "task": "transcribe",
        },
        "segments": [
            {
                "id": "s1.3",
                "number": 3,
                "start": 3.0,
                "end": 4.0,
                "text": "Hello there.",
                "language": "en",
                "speaker": None,
            },
            {
                "id": "s1.4",
                "number": 4,
                "start": 4.0,
                "end": 5.0,
                "text": "Bye.",
                "language": "en",
                "speaker": None,
            },
        ],
    }


def test_llama_gets_the_text_as_a_prompt() -> None:
    body = render(post("Hello there.", "Bye."), "llama_completion", 64)

    assert json.loads(body) == {"prompt": "Hello there. Bye.", "n_predict": 64, "stream": False}


def test_a_body_is_the_same_at_every_attempt() -> None:
    assert render(post("a", "b"), "json", 1) == render(post("a", "b"), "json", 1)


def test_text_of_any_script_is_written_as_it_is() -> None:
    assert "Günaydın 你好".encode() in render(post("Günaydın 你好"), "json", 1)


def test_half_a_surrogate_pair_is_no_fault() -> None:
    strange = Post(facts(uid="\ud800"), (final_segment(1, segment("a"), None),))

    assert json.loads(render(strange, "json", 1))["session"]["uid"] == "?"
