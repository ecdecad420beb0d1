"""Import this before torchvision: where its compiled operations do not load (a wheel for CUDA beside torch for CPUs), it gives
`torchvision::nms` the same loop, compiled from nms.c beside this file. `NMS` says which one is in use."""

import ctypes
import functools
import importlib.util
import pathlib
import subprocess
import tempfile

import torch


def loads():
    for folder in importlib.util.find_spec("torchvision").submodule_search_locations:
        for library in pathlib.Path(folder).glob("_C.*"):
            try:
                torch.ops.load_library(library)
                return True
            except OSError:
                pass
    return False


@functools.cache
def compiled():
    source = pathlib.Path(__file__).parent / "nms.c"
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder) / "nms.so"
        subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library, source], check=True)
        return ctypes.CDLL(str(library)).nms


def nms(boxes, scores, iou_threshold):
    order = scores.sort(stable=True, descending=True).indices
    ordered = boxes[order].float().contiguous()
    keep = torch.empty(len(order), dtype=torch.bool)
    pointer = ctypes.c_void_p
    compiled()(
        pointer(ordered.data_ptr()), ctypes.c_long(len(order)), ctypes.c_double(iou_threshold), pointer(keep.data_ptr())
    )
    return order[keep]


NMS = "torchvision's NMS"
if not loads():
    NMS = "NMS of test/bench/reference/nms.c (torchvision's compiled operations do not load here)"
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", nms, "CPU")

    import torchvision.ops.boxes

    torchvision.ops.boxes._assert_has_ops = lambda: None
