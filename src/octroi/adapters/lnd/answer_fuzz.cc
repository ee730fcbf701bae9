// Any text in the place of any of lnd's answers: it is understood or refused, a success always
// carries the preimage of the hash that was asked about, and an error message stays printable.
#include <algorithm>
#include <cstdlib>

#include "octroi/adapters/lnd/answer.h"
#include "octroi/crypto/hash.h"

using namespace octroi;
using namespace octroi::lnd;

namespace {

void check_message(const Error& error) {
  const std::string_view text = error.message();
  if (text.size() > 512) std::abort();
  if (std::ranges::any_of(text, [](char c) { return c == '\n' || c == '\r' || c == '\0'; }))
    std::abort();
}

template <class T>
void check(const Result<T>& result) {
  if (!result) check_message(result.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  const PaymentHash hash(crypto::sha256(as_bytes(std::string(32, 'x'))));
  check_message(to_error(500, text));
  check_message(to_payment_error(500, text));
  static_cast<void>(is_stream_error(text));
  check(read_info(text));
  check(read_added(text, Msat{}));
  check(read_invoice(text));
  check(read_settled_line(text));
  check(read_page(text));
  check(read_balance(text));
  const auto payment = read_payment_line(text, hash);
  check(payment);
  if (payment && payment->state == lightning::PaymentState::succeeded &&
      PaymentHash(crypto::sha256(payment->preimage.reveal())) != hash) {
    std::abort();
  }
  return 0;
}
