// octroi/base/secret_memory.h: what became of the pages that secrets lie in.   Thread: any.
#pragma once

namespace octroi {

/// Whether all memory that secrets have got so far was locked, so that it is never swapped.
[[nodiscard]] bool secrets_are_locked() noexcept;

}  // namespace octroi
