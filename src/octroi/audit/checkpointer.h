// octroi/audit/checkpointer.h: signs how far the chain of this process has come, again whenever it
// has moved: into the store, so that exports have it, and through `outside` to where whoever can
// write the database cannot.
//
// Errors   those of the journal and of `outside`; what was not kept is signed again the next time.
// Thread   one at a time.
#pragma once

#include <string_view>

#include "octroi/audit/checkpoint.h"
#include "octroi/audit/journal.h"
#include "octroi/base/function.h"

namespace octroi::audit {

class Checkpointer {
 public:
  /// Takes a checkpoint_line(), and returns when it is durable.
  using Outside = UniqueFunction<Result<>(std::string_view line)>;

  /// `journal` and `clock` must outlive it. `outside` may be empty.
  Checkpointer(Journal& journal, Signer signer, Clock& clock, Outside outside);
  [[nodiscard]] const PublicKey& public_key() const { return signer_.public_key(); }
  /// True: there was something to sign.
  Task<Result<bool>> run_once();

 private:
  Journal& journal_;
  const Signer signer_;
  Clock& clock_;
  Outside outside_;
  std::int64_t kept_ = 0;  // the number that both places have
};

}  // namespace octroi::audit
