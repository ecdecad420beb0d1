#pragma once

#include <node_api.h>

#include "data/batch.h"
#include "session.h"

namespace dinov3_det {

// What JavaScript's two opaque handles hold.
struct DetectorHandle {
  static constexpr const char* kHandleName = "Detector";
  static constexpr napi_type_tag kHandleTag = {0x5f0c7b9d2a3e41c6, 0x9d1f64b8e07a25c3};

  Session session;
};

struct BatchHandle {
  static constexpr const char* kHandleName = "Batch";
  static constexpr napi_type_tag kHandleTag = {0x83a6c1e05d7f4b92, 0xb24e90d7c8163fa5};

  Batch batch;
};

}  // namespace dinov3_det
