// Not part of the build: the tests in ../CMakeLists.txt compile this file once for each case and
// expect the compiler to refuse it for the stated reason. Without a case it compiles.
#include <ostream>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/base/secret.h"

namespace octroi {

void use(const Secret& secret, std::ostream& out) {
#if defined(CASE_format)
  (void)fmt::format("{}", secret);
#elif defined(CASE_stream)
  out << secret;
#elif defined(CASE_copy)
  Secret copied = secret;
  (void)copied;
#elif defined(CASE_assign)
  Secret assigned;
  assigned = secret;
#elif defined(CASE_equal)
  (void)(secret == secret);
#elif defined(CASE_unequal)
  (void)(secret != secret);
#elif defined(CASE_log)
  OCTROI_LOG(info, "base", "loaded", {{"value", secret}});
#endif
  (void)secret;
  (void)out;
}

}  // namespace octroi
