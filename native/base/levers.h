#pragma once

#include <string>

namespace dinov3_det {

// Whether DINOV3_DET_DISABLE, a list of names with commas between them, asks for the plain path of a lever (each has
// one: lever_report.h). For debugging; it is read once.
bool lever_disabled(const std::string& name);

}  // namespace dinov3_det
