"""native/retinanet_head.json: torchvision's RetinaNetHead."""

import torchvision_ops  # noqa: F401
from torchvision.models.detection.retinanet import RetinaNetHead

from reference import load_weights, pattern, write

CHANNELS, ANCHORS, CLASSES = 16, 9, 4

head = load_weights(RetinaNetHead(CHANNELS, ANCHORS, CLASSES))
maps = [pattern("retina0", (2, CHANNELS, 3, 4), 2.0), pattern("retina1", (2, CHANNELS, 2, 2), 2.0)]
write(
    "native/retinanet_head.json",
    {
        "channels": CHANNELS,
        "anchors": ANCHORS,
        "classes": CLASSES,
        "shapes": {name: list(p.shape) for name, p in head.named_parameters()},
        "output": {key: value.detach().flatten() for key, value in head(maps).items()},
    },
)
