#pragma once

#include <ATen/Generator.h>

#include <memory>
#include <vector>

#include "base/names.h"
#include "models/detection_head.h"
#include "models/neck.h"

namespace dinov3_det {

// What may be chosen of a neck.
struct NeckOptions {
  bool fuse = false;  // maps from the top down, where the head leaves it open
  int64_t width = 0;  // channels of a dense head's maps; 0: those of the backbone's finest map
};

// All that the name of a head decides. A new head is one more of these in heads.cc, beside files of its own for the
// head, its TorchScript and, where it wants maps of another kind, its neck (models/neck.h). One that has points instead
// of default boxes adds these to BoxConfig (models/box_layout.h).
struct HeadType {
  // The neck below the head, of the backbone's maps (finest first) for images of this height.
  std::unique_ptr<Neck> (*make_pyramid)(const std::vector<MapShape>& maps, int64_t image_height,
                                        const NeckOptions& options, at::Generator& generator);
  std::unique_ptr<DetectionHead> (*make)(const HeadInput& input, at::Generator& generator);
};

extern const HeadType kSsdHead;
extern const HeadType kRetinaNetHead;
extern const HeadType kDenseHead;

constexpr Names<const HeadType*, 3> kHeads{
    {{"ssd", &kSsdHead}, {"retinanet", &kRetinaNetHead}, {"dense", &kDenseHead}}};

}  // namespace dinov3_det
