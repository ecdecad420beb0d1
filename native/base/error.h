#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace dinov3_det {

// A failure that the caller can tell apart by `code` (the codes of lib/base/errors.ts). Everything else is a
// c10::Error.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

}  // namespace dinov3_det
