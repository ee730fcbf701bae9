// octroi/audit/checkpoint_file.h: checkpoints outside the database: JSON Lines that are only ever
// added to (checkpoint.h), so that a store that was cut off or put back is found.
//
// Errors   Errc::unavailable when a line cannot be added: the file is then as it was.
// Thread   any, one at a time a file; blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/audit/checkpoint.h"

namespace octroi::audit {

enum class Sync : std::uint8_t {
  now,    // returns when the line is on the disk
  later,  // when the system gets to it; for whoever has the checkpoint in the store too
};
/// The file is made (0600) when missing.
[[nodiscard]] Result<> append_checkpoint(const std::string& path, std::string_view line, Sync sync);

/// The checkpoints of such a file; none when it is not there. Lines that are none (the power went
/// while one was written) are passed over, and logged.
[[nodiscard]] Result<std::vector<Checkpoint>> read_checkpoints(const std::string& path);

}  // namespace octroi::audit
