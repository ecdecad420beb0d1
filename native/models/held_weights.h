#pragma once

#include <c10/util/Exception.h>

namespace dinov3_det {

// Whose weights a model holds: its own, or those that one keeper (models/weight_keeper.h) has put in their place. One
// for each model.
class HeldWeights {
 public:
  // Throws unless the model holds its own. `work`: what they are needed for.
  void check_own(const char* work) const {
    TORCH_CHECK(guest_ == nullptr, "expected a model that holds its own weights for ", work, " but it holds ", guest_);
  }

  void take(const char* guest) {
    check_own("an exchange");
    guest_ = guest;
  }
  void give_back() { guest_ = nullptr; }

 private:
  const char* guest_ = nullptr;
};

}  // namespace dinov3_det
