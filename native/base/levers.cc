#include "base/levers.h"

#include <cstdlib>
#include <set>
#include <sstream>

namespace dinov3_det {

bool lever_disabled(const std::string& name) {
  static const std::set<std::string> disabled = [] {
    const char* list = std::getenv("DINOV3_DET_DISABLE");
    std::istringstream names(list == nullptr ? "" : list);
    std::set<std::string> found;
    for (std::string item; std::getline(names, item, ',');) found.insert(item);
    return found;
  }();
  return disabled.contains(name);
}

}  // namespace dinov3_det
