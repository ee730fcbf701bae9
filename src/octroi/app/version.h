// octroi/app/version.h: what `octroi version` says.
#pragma once
#include <string_view>
namespace octroi::app {
inline constexpr std::string_view kVersion = "0.1.0";
}  // namespace octroi::app
