"""The reference's side of `npm run bench`, a process that is told what to do in lines of JSON (test/bench/worker.ts):
first {"task", ...its arguments}, answered by {"ready": facts}; then for every further line one step, answered by {"ms", "cpuMs",
"result"}. A failure is answered by {"error"}."""

import importlib
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "reference"))
TASKS = {
    "train": "detector.train",
    "predict": "detector.predict",
    "export-onnx": "detector.export_onnx",
    "export-whole-onnx": "detector.export_whole_onnx",
    "onnx": "detector.run_onnx",
    "data": "parts.data",
    "postprocess": "parts.postprocess",
    "nms": "parts.nms",
    "map": "parts.coco",
}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        arguments = json.loads(sys.stdin.readline())
        module, function = TASKS[arguments.pop("task")].split(".")
        step, facts = getattr(importlib.import_module(module), function)(**arguments)
        answer({"ready": facts})
        for _ in sys.stdin:
            began, cpu_began = time.perf_counter(), time.process_time()
            result = step()
            ms, cpu_ms = (1000 * seconds for seconds in (time.perf_counter() - began, time.process_time() - cpu_began))
            answer({"ms": ms, "cpuMs": cpu_ms, "result": result})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})


main()
