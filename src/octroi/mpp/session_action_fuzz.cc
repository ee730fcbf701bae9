// What a session's credential asks for: whatever is accepted has the form of one of the four
// actions, and is the same action, in the same text, after it was written anew.
#include <cstdlib>
#include <string>

#include "octroi/base/bytes.h"
#include "octroi/json/value.h"
#include "octroi/mpp/lightning/session.h"

namespace {

using namespace octroi;
using namespace octroi::mpp::lightning;

void want(bool holds) {
  if (!holds) std::abort();
}

struct Check {
  json::Value payload;
  void preimage(std::string_view member, const Secret& value) const {
    want(value.reveal().size() == 32);
    want(payload.string(member).value_or("") == to_hex(value.reveal()));
  }
  void session(const PaymentHash& id) const {
    want(payload.string("sessionId").value_or("") == id.hex());
  }
  void action(std::string_view name) const { want(payload.string("action").value_or("") == name); }
  void operator()(const OpenAction& a) const {
    action("open");
    preimage("preimage", a.preimage);
    want(payload.string("returnInvoice").value_or("") == a.return_invoice);
  }
  void operator()(const BearerAction& a) const {
    action("bearer");
    session(a.session_id);
    preimage("preimage", a.preimage);
  }
  void operator()(const TopUpAction& a) const {
    action("topUp");
    session(a.session_id);
    preimage("topUpPreimage", a.top_up_preimage);
  }
  void operator()(const CloseAction& a) const {
    action("close");
    session(a.session_id);
    preimage("preimage", a.preimage);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto document = json::parse(as_text({data, size}));
  if (!document) return 0;
  const auto action = parse_session_action(document->root());
  if (!action) {
    // A refusal says what is wrong and shows nothing of the proof.
    const auto secret = document->root().string("preimage");
    if (secret && secret->size() == 64)
      want(action.error().message().find(*secret) == std::string_view::npos);
    return 0;
  }
  std::visit(Check{document->root()}, *action);
  const std::string once = session_payload_json(*action);
  const auto again_document = json::parse(once);
  want(again_document.has_value());
  const auto again = parse_session_action(again_document->root());
  want(again && again->index() == action->index() && session_payload_json(*again) == once);
  return 0;
}
