#include "models/heads.h"

#include "models/dense_head.h"
#include "models/dense_neck.h"
#include "models/feature_pyramid.h"
#include "models/retinanet_head.h"
#include "models/ssd_head.h"

namespace dinov3_det {

namespace {

template <FeaturePyramid::Coarser coarser>
std::unique_ptr<Neck> make_feature_pyramid(const std::vector<MapShape>& maps, int64_t image_height,
                                           const NeckOptions& options, at::Generator& generator) {
  return std::make_unique<FeaturePyramid>(maps, image_height, options.fuse, generator, coarser);
}

std::unique_ptr<Neck> make_dense_neck(const std::vector<MapShape>& maps, int64_t, const NeckOptions& options,
                                      at::Generator& generator) {
  return std::make_unique<DenseNeck>(maps, options.width, generator);
}

}  // namespace

const HeadType kSsdHead{make_feature_pyramid<FeaturePyramid::Coarser::kExtras>, make_ssd_head};
const HeadType kRetinaNetHead{make_feature_pyramid<FeaturePyramid::Coarser::kP6P7>, make_retinanet_head};
const HeadType kDenseHead{make_dense_neck, make_dense_head};

}  // namespace dinov3_det
