#include "models/heads.h"

#include "models/feature_pyramid.h"
#include "models/retinanet_head.h"
#include "models/ssd_head.h"

namespace dinov3_det {

namespace {

template <FeaturePyramid::Coarser coarser>
std::unique_ptr<Neck> make_feature_pyramid(const std::vector<MapShape>& maps, int64_t image_height, bool fuse,
                                           at::Generator& generator) {
  return std::make_unique<FeaturePyramid>(maps, image_height, fuse, generator, coarser);
}

}  // namespace

const HeadType kSsdHead{make_feature_pyramid<FeaturePyramid::Coarser::kExtras>, make_ssd_head};
const HeadType kRetinaNetHead{make_feature_pyramid<FeaturePyramid::Coarser::kP6P7>, make_retinanet_head};

}  // namespace dinov3_det
