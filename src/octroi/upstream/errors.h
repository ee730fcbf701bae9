// octroi/upstream/errors.h: why no address could be given. Thread: values.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::upstream {

enum class Errc : std::uint8_t {
  busy,     // every address has as many requests as it may have
  no_more,  // every address was tried
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::upstream
