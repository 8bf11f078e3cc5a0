"""Makes ``tone.onnx``, a voice for Piper that sings: needs ``pip install onnx``, run by hand.

It has the inputs and the output of a real voice. Each phoneme is 256 samples of a tone, the louder
the larger its id.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
SAMPLES_OF_PHONEME = 256
RATE = 16_000

tone = np.sin(2 * np.pi * np.arange(SAMPLES_OF_PHONEME) / 64).astype(np.float32)
graph = helper.make_graph(
    [
        helper.make_node("Cast", ["input"], ["loudness"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["loudness", "last"], ["column"]),
        helper.make_node("Mul", ["column", "tone"], ["tones"]),
        helper.make_node("Reshape", ["tones", "shape"], ["output"]),
    ],
    "tone",
    [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ],
    [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "time"])],
    [
        numpy_helper.from_array(tone, "tone"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([1, 1, 1, -1], dtype=np.int64), "shape"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, str(HERE / "tone.onnx"))

symbols = ["_", "^", "$", *"abdefhijklmnoprstuvyzæðŋɐɑɔəɛɜɡɪɹʃʊʌʒθˈˌː ,.!?"]
voice = {
    "audio": {"sample_rate": RATE},
    "espeak": {"voice": "en-us"},
    "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
    "num_symbols": len(symbols),
    "num_speakers": 1,
    "phoneme_type": "espeak",
    "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(symbols)},
}
text = json.dumps(voice, ensure_ascii=False, indent=1)
(HERE / "tone.onnx.json").write_text(f"{text}\n", encoding="utf-8")
