#pragma once

#include <ATen/Generator.h>

#include <memory>
#include <vector>

#include "base/names.h"
#include "models/detection_head.h"
#include "models/neck.h"

namespace dinov3_det {

// All that the name of a head decides. A new head is one more of these in heads.cc, beside files of its own for the
// head, its TorchScript and, where it wants maps of another kind, its neck (models/neck.h). One that has points instead
// of default boxes adds these to BoxConfig (models/box_layout.h).
struct HeadType {
  // The pyramid below the head, of the backbone's maps (finest first) for images of this height; fuse: from the top
  // down.
  std::unique_ptr<Neck> (*make_pyramid)(const std::vector<MapShape>& maps, int64_t image_height, bool fuse,
                                        at::Generator& generator);
  std::unique_ptr<DetectionHead> (*make)(const HeadInput& input, at::Generator& generator);
};

extern const HeadType kSsdHead;
extern const HeadType kRetinaNetHead;

constexpr Names<const HeadType*, 2> kHeads{{{"ssd", &kSsdHead}, {"retinanet", &kRetinaNetHead}}};

}  // namespace dinov3_det
