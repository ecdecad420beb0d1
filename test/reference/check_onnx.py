"""Checks exported ONNX files by onnx.checker, and runs them in onnxruntime and, where it is installed, OpenVINO:

    python3 check_onnx.py FILE...

Prints for each file its number of nodes, the shapes that it gives, and the largest differences between the runtimes. Needs onnx,
onnxruntime and numpy, and openvino for the second runtime. `test/lib/onnx/onnx-reference.test.ts` runs this.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime

try:
    import openvino
except ImportError:
    openvino = None


def inputs_of(session):
    """Images without a pattern, of the type that the file takes."""
    (given,) = session.get_inputs()
    shape = [2 if isinstance(size, str) else size for size in given.shape]
    random = np.random.default_rng(0)
    if given.type == "tensor(uint8)":
        return {given.name: random.integers(0, 256, shape, dtype=np.uint8)}
    return {given.name: random.random(shape, dtype=np.float32)}


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["format"] == "dinov3-det-onnx" and json.loads(metadata["classes"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the models are small
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = inputs_of(session)
    outputs = dict(zip([each.name for each in session.get_outputs()], session.run(None, feeds)))
    result = {"nodes": len(model.graph.node), "opset": model.opset_import[0].version}
    result["shapes"] = {name: list(value.shape) for name, value in outputs.items()}
    assert all(np.isfinite(value).all() for value in outputs.values() if value.dtype == np.float32)
    if openvino is not None:
        result["openvino"] = differences(path, feeds, outputs)
    return result


def differences(path, feeds, outputs):
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(path, "CPU", properties)
    found = compiled(feeds)
    assert all(found[name].shape == value.shape for name, value in outputs.items())
    return {name: float(np.abs(value - found[name]).max()) for name, value in outputs.items()}


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(json.dumps({"file": path, **check(path)}))
