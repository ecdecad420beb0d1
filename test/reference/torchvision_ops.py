"""Import this before torchvision: its Python code then works where its compiled operators do not load.

So it is beside a torch without CUDA when the registry has torchvision for CUDA alone. Of the operators only NMS is needed here.
"""

import torch


def nms(boxes, scores, iou_threshold):
    """torchvision's CPU kernel: best first, equal scores in the order given, IoU in float32, the comparison in float64."""
    xmin, ymin, xmax, ymax = boxes.unbind(1)
    areas = (xmax - xmin) * (ymax - ymin)
    order = scores.sort(stable=True, descending=True).indices
    kept = []
    while len(order) > 0:
        best, order = order[0], order[1:]
        kept.append(best)
        width = torch.minimum(xmax[best], xmax[order]) - torch.maximum(xmin[best], xmin[order])
        height = torch.minimum(ymax[best], ymax[order]) - torch.maximum(ymin[best], ymin[order])
        overlap = width.clamp(min=0) * height.clamp(min=0)
        iou = overlap / (areas[best] + areas[order] - overlap)
        order = order[~(iou.double() > iou_threshold)]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


try:
    import torchvision
except RuntimeError:  # operator torchvision::nms does not exist
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.library.impl("torchvision::nms", "cpu", nms)
    import torchvision

    torchvision.extension._has_ops = lambda: True
