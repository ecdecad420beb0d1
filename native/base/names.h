#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace dinov3_det {

// The kinds of something, by their names in a configuration.
template <class Kind, size_t N>
using Names = std::array<std::pair<std::string_view, Kind>, N>;

template <class Kind, size_t N>
std::optional<Kind> find_kind(const Names<Kind, N>& names, std::string_view name) {
  const auto found = std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.first == name; });
  return found == names.end() ? std::nullopt : std::optional(found->second);
}

// The name of a kind, which is one of these.
template <class Kind, size_t N>
constexpr std::string_view name_of(const Names<Kind, N>& names, Kind kind) {
  return std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.second == kind; })->first;
}

// "a, b, c"
template <class Kind, size_t N>
std::string list_names(const Names<Kind, N>& names) {
  std::string all;
  for (const auto& entry : names) all.append(all.empty() ? "" : ", ").append(entry.first);
  return all;
}

}  // namespace dinov3_det
