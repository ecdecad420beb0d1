"""The article's model and training step, as it runs them and tuned: bf16 autocast, channels_last, native layer norm, fused AdamW.
(The environment adds retained memory to the tuned ones: test/bench/sides.ts.)"""

import contextlib
import math

import torch
import torchvision_nms
from convnext import ConvNext, ChannelsFirstNorm
from reference import load_weights, picture
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDHead

FACTS = {"torch": torch.__version__, "threads": torch.get_num_threads(), "nms": torchvision_nms.NMS}
if torch.cuda.is_available():
    FACTS["gpu"] = torch.cuda.get_device_name()


class HandMadeNorm(nn.LayerNorm):
    """The channels-first layer norm as ConvNeXt's code, and DINOv3's after it, writes it out."""

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def detector(backbone, side, classes, background, tuned, device="cpu"):
    """`background` is the bias of the background's logit: it sets how many candidates an image has."""
    model = ConvNext(backbone)
    for module in model.modules():
        if isinstance(module, ChannelsFirstNorm) and not tuned:
            module.__class__ = HandMadeNorm
    boxes = DefaultBoxGenerator([[2], [2, 3], [2, 3], [2, 3], [2], [2]])
    channels = [model.norm.normalized_shape[0]] * 6
    head = SSDHead(channels, boxes.num_anchors_per_location(), num_classes=classes)
    ssd = SSD(backbone=model, num_classes=classes, anchor_generator=boxes, size=[side, side], head=head, nms_thresh=0.45)
    load_weights(ssd)
    with torch.no_grad():
        for convolution in head.classification_head.module_list:
            convolution.bias.view(-1, classes)[:, 0] = background
    ssd = ssd.to(device)
    return ssd.to(memory_format=torch.channels_last) if tuned else ssd


def precision(tuned, device):
    return torch.autocast(torch.device(device).type, torch.bfloat16) if tuned else contextlib.nullcontext()


def to_tensor(pixels):
    """The article's loader: uint8 [H, W, 3] -> float [3, H, W], 0..1"""
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float() / 255


def train(backbone, side, classes, background, device, targets, tuned):
    model = detector(backbone, side, classes, background, tuned, device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=tuned)
    pictures = [to_tensor(picture(f"picture{i}", side, side)) for i in range(len(targets))]
    wanted = [{"boxes": torch.tensor(t["boxes"]), "labels": torch.tensor(t["labels"])} for t in targets]

    def step():
        with precision(tuned, device):
            given = [{key: value.to(device) for key, value in target.items()} for target in wanted]
            losses = model([image.to(device) for image in pictures], given)
            loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}  # waits for a GPU: the optimizer's kernels were queued before

    return step, FACTS


def predict(backbone, side, classes, background, device, images, tuned):
    model = detector(backbone, side, classes, background, tuned, device).eval()
    pictures = [picture(f"picture{i}", side, side) for i in range(images)]

    @torch.inference_mode()
    def step():
        with precision(tuned, device):
            found = model([to_tensor(pixels).to(device) for pixels in pictures])
        return [{key: values.flatten().tolist() for key, values in each.items()} for each in found]

    return step, FACTS


class Forward(nn.Module):
    """What an ONNX file can hold of the detector: normalised images to class logits and boxes."""

    def __init__(self, ssd):
        super().__init__()
        self.backbone, self.head = ssd.backbone, ssd.head

    def forward(self, images):
        found = self.head([self.backbone(images)])
        return found["cls_logits"], found["bbox_regression"]


def export_onnx(path, backbone, side, classes, background, images):
    model = Forward(detector(backbone, side, classes, background, tuned=True).to(memory_format=torch.contiguous_format)).eval()
    torch.onnx.export(model, (torch.zeros(images, 3, side, side),), path, input_names=["images"], dynamo=False)
    return (lambda: None), FACTS


class Whole(nn.Module):
    """Pictures of 0 to 1 to boxes and scores of all default boxes: what `export --format onnx --nms none --input float` writes."""

    def __init__(self, ssd, anchors, side):
        super().__init__()
        self.backbone, self.head, self.side = ssd.backbone, ssd.head, side
        self.register_buffer("mean", torch.tensor(ssd.transform.image_mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(ssd.transform.image_std).view(3, 1, 1))
        self.register_buffer("size", anchors[:, 2:] - anchors[:, :2])
        self.register_buffer("center", anchors[:, :2] + 0.5 * self.size)

    def forward(self, images):
        found = self.head([self.backbone((images - self.mean) / self.std)])
        codes = found["bbox_regression"]
        center = codes[..., :2] / 10 * self.size + self.center
        half = 0.5 * torch.exp((codes[..., 2:] / 5).clamp(max=math.log(1000 / 16))) * self.size
        boxes = torch.cat([center - half, center + half], -1).clamp(0, self.side)
        return boxes, found["cls_logits"].softmax(-1)[..., 1:]


def export_whole_onnx(path, backbone, side, classes, background, images, dynamo):
    """`dynamo`: by torch.onnx's newer exporter, its default, which needs onnxscript."""
    import ssd

    model = detector(backbone, side, classes, background, tuned=True).to(memory_format=torch.contiguous_format)
    whole = Whole(model, ssd.default_boxes([(side // 32, side // 32)], side, side), side).eval()
    names = {"input_names": ["images"], "output_names": ["boxes", "scores"]}
    torch.onnx.export(whole, (torch.rand(images, 3, side, side),), path, dynamo=dynamo, **names)
    return (lambda: None), FACTS


def run_onnx(path, side, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = torch.rand(images, 3, side, side).numpy()

    def step():
        session.run(None, {"images": pixels})

    return step, {"engine": f"onnxruntime {onnxruntime.__version__} (Python)"}
