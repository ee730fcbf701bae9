#include "octroi/secrets/conformance.h"

#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/secrets/errc.h"

namespace octroi::secrets {

bool is_conformance_operation(std::string_view operation) { return operation == "redact"; }

Result<std::string> run_conformance_operation(std::string_view operation,
                                              std::string_view input_json) {
  if (!is_conformance_operation(operation)) {
    return fail(Errc::unknown_operation, fmt::format("no operation {}", operation));
  }
  OCTROI_TRY(const json::Document input, json::parse(input_json));
  OCTROI_TRY(const std::string_view text, input.root().string("text"));
  Redactor own;
  if (input.root().find("secrets")) {
    OCTROI_TRY(const json::Value secrets, input.root().array("secrets"));
    for (const json::Value secret : secrets.elements()) {
      OCTROI_TRY(const std::string_view value, secret.as_string());
      own.add_text(value);
    }
  }
  std::string out;
  json::append_quoted(out, own.redact(text));
  return out;
}

}  // namespace octroi::secrets
