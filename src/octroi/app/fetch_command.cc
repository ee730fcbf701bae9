// octroi fetch: curl that can pay.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/version.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/config/units.h"
#include "octroi/json/writer.h"
#include "octroi/net/ssrf.h"
#include "octroi/wallet/session_manager.h"

namespace octroi::app {

namespace {

constexpr std::size_t kJsonBody = 1'000'000;
const char* const kNoWallet =
    "the configuration has no wallet section: nothing can be paid; see examples/octroi.yaml";

enum class FlagErrc : std::uint8_t { bad_flag, bad_output };
ErrorInfo error_info(FlagErrc e) {
  switch (e) {
    case FlagErrc::bad_flag:
      return {"cli.bad-flag", ErrorKind::invalid};
    case FlagErrc::bad_output:
      return {"cli.bad-output", ErrorKind::unavailable};
  }
  return {"cli.unknown", ErrorKind::internal};
}

/// Digits alone are satoshis, as every L402 client's --max-cost.
Result<std::optional<Msat>> amount_flag(const std::string& text, const char* name) {
  if (text.empty()) return std::optional<Msat>{};
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  auto amount = parse_msat(digits ? text + " sat" : text);
  if (!amount)
    return fail(FlagErrc::bad_flag, fmt::format("{}: write an amount such as '1000 sat'", name));
  return std::optional<Msat>(*amount);
}

Result<std::string> read_data(const std::string& text) {
  if (!text.starts_with('@')) return text;
  if (text == "@-") {
    std::string all;
    std::array<char, 65536> chunk{};
    while (const std::size_t n = std::fread(chunk.data(), 1, chunk.size(), stdin))
      all.append(chunk.data(), n);
    return all;
  }
  return read_file(text.substr(1), 1ULL << 30);
}

struct Resolve {
  std::string host;
  std::uint16_t port = 0;
  std::vector<net::IpAddress> addresses;
};
Result<Resolve> parse_resolve(const std::string& text) {
  Resolve out;
  const auto first = text.find(':');
  const auto second = first == std::string::npos ? first : text.find(':', first + 1);
  const auto bad = [&] {
    return fail(FlagErrc::bad_flag, "--resolve: write host:port:address[,address]");
  };
  if (second == std::string::npos) return bad();
  out.host = text.substr(0, first);
  const std::string port = text.substr(first + 1, second - first - 1);
  if (std::from_chars(port.data(), port.data() + port.size(), out.port).ec != std::errc{})
    return bad();
  std::string_view rest = std::string_view(text).substr(second + 1);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    if (one.starts_with('[') && one.ends_with(']')) one = one.substr(1, one.size() - 2);
    auto address = net::IpAddress::parse(one);
    if (!address) return bad();
    out.addresses.push_back(*address);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  if (out.addresses.empty()) return bad();
  return out;
}

Result<wallet::FetchRequest> build_request(const FetchFlags& flags, const config::Config& config) {
  wallet::FetchRequest request;
  auto url = http::Url::parse(flags.url.find("://") == std::string::npos ? "https://" + flags.url
                                                                         : flags.url);
  if (!url) return fail(FlagErrc::bad_flag, "URL: " + std::string(url.error().message()));
  request.http.url = std::move(*url);
  if (flags.data) {
    OCTROI_TRY(request.http.body, read_data(*flags.data));
  }
  request.http.method = !flags.method.empty() ? flags.method
                        : flags.head          ? "HEAD"
                        : flags.data          ? "POST"
                                              : "GET";
  if (!http::is_token(request.http.method))
    return fail(FlagErrc::bad_flag, "-X: not an HTTP method");
  request.http.headers.set("User-Agent", "octroi/" + std::string(kVersion));
  request.http.headers.set("Accept", "*/*");
  if (flags.data) request.http.headers.set("Content-Type", "application/x-www-form-urlencoded");
  bool accept_payment = true;
  for (const auto& line : flags.headers) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) return fail(FlagErrc::bad_flag, "-H: write 'Name: value'");
    const std::string name = line.substr(0, colon);
    std::string_view value = std::string_view(line).substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    for (std::string_view own : {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                 "Upgrade", "TE", "Trailer"}) {
      if (http::equal_ignoring_case(name, own))
        return fail(FlagErrc::bad_flag, fmt::format("-H: {} is set by the client itself", own));
    }
    if (http::equal_ignoring_case(name, "Accept-Payment")) accept_payment = false;
    const bool replaces = http::equal_ignoring_case(name, "Content-Type") ||
                          http::equal_ignoring_case(name, "User-Agent") ||
                          http::equal_ignoring_case(name, "Accept");
    if (!(replaces ? request.http.headers.set(name, value)
                   : request.http.headers.add(name, value))) {
      return fail(FlagErrc::bad_flag, "-H: a name or value that HTTP does not allow");
    }
  }
  if (accept_payment && flags.session) {
    request.http.headers.set("Accept-Payment", "lightning/session, lightning/charge;q=0.5");
  } else if (accept_payment && flags.prefer != "l402") {
    request.http.headers.set("Accept-Payment", "lightning/charge");
  }
  if (flags.session && flags.prefer == "l402")
    return fail(FlagErrc::bad_flag,
                "--session: is of the Payment scheme, not of --prefer-scheme l402");
  request.session = flags.session;
  request.close_after = flags.close_after;
  OCTROI_TRY(request.max_cost, amount_flag(flags.max_cost, "--max-cost"));
  OCTROI_TRY(request.max_fee, amount_flag(flags.max_fee, "--max-fee"));
  if (flags.prefer == "l402")
    request.prefer = wallet::Scheme::l402;
  else if (flags.prefer == "payment")
    request.prefer = wallet::Scheme::payment;
  else if (!flags.prefer.empty())
    return fail(FlagErrc::bad_flag, "--prefer-scheme: use l402 or payment");
  auto size = config::parse_size(flags.max_size);
  if (!size) return fail(FlagErrc::bad_flag, "--max-size: write a size such as 64MiB");
  request.max_body = static_cast<std::uint64_t>(*size);
  request.pay = !flags.no_pay;
  request.dry_run = flags.dry_run;
  request.follow_redirects = flags.follow;
  request.max_redirects = flags.max_redirects;
  request.timeout = Millis(std::max(1, flags.max_time) * 1000LL);
  request.payment_timeout = Seconds(std::max(1, flags.payment_timeout));
  request.private_targets = config.environment == config::Environment::development;
  return request;
}

/// The run that the request itself names is the run, unless another was given.
ledger::Spender spender_of(const FetchFlags& flags, const wallet::FetchRequest& request) {
  ledger::Spender by = flags.by;
  if (by.run.empty()) by.run = request.http.headers.get("X-Agent-Run-Id").value_or("");
  return by;
}

/// Text is what can stand in a JSON string; everything else goes to a file or stdout.
bool is_text(const http::Response& response) {
  return response.body.size() <= kJsonBody && json::is_utf8(response.body);
}

/// Where the body goes; opened when the first of it is there.
class BodyFile {
 public:
  BodyFile() = default;
  BodyFile(const BodyFile&) = delete;
  BodyFile& operator=(const BodyFile&) = delete;
  ~BodyFile() { std::ignore = close(); }

  Result<> write(const FetchFlags& flags, const std::string& url, std::string_view bytes) {
    if (file_ == nullptr) OCTROI_CHECK(open(flags, url));
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size() ||
        std::fflush(file_) != 0) {
      return fail(FlagErrc::bad_output, "-o: cannot write the body");
    }
    return {};
  }
  Result<> close() {
    std::FILE* file = std::exchange(file_, nullptr);
    if (file == nullptr || file == stdout || std::fclose(file) == 0) return {};
    return fail(FlagErrc::bad_output, "-o: cannot write the body");
  }

 private:
  Result<> open(const FetchFlags& flags, const std::string& url) {
    std::string target = flags.output;
    if (flags.remote_name && target.empty()) {
      const auto path = url.substr(0, url.find('?'));
      target = path.substr(path.rfind('/') + 1);
      if (target.empty() || target == "." || target == "..") target = "index.html";
    }
    if (target.empty() || target == "-") {
      file_ = stdout;
      return {};
    }
    const int fd = ::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    file_ = fd < 0 ? nullptr : ::fdopen(fd, "w");
    if (file_ == nullptr)
      return fail(FlagErrc::bad_output, fmt::format("-o: cannot write '{}'", target));
    return {};
  }
  std::FILE* file_ = nullptr;
};

int write_body(const FetchFlags& flags, const wallet::FetchResult& result) {
  if (result.streamed) return kDone;
  BodyFile file;
  auto written = file.write(flags, result.url, result.response.body);
  if (written) written = file.close();
  if (written) return kDone;
  std::fprintf(stderr, "octroi: %s\n", std::string(written.error().message()).c_str());
  return kFailed;
}

void write_session(json::Writer& w, const wallet::SessionUse& use) {
  w.key("session").begin_object().field("id", use.id.hex()).field("opened", use.opened);
  w.field("topped_up_msat", use.topped_up.count() /* raw: wire */);
  w.field("deposit_msat", use.deposit.count() /* raw: wire */);
  w.field("spent_msat", use.spent.count() /* raw: wire */).field("closed", use.closed);
  if (use.refund) w.field("refund_sat", use.refund->count() /* raw: wire */);
  if (use.refund_seen) w.field("refund_seen_msat", use.refund_seen->count() /* raw: wire */);
  if (!use.stream_receipt.empty()) w.key("stream_receipt").raw(use.stream_receipt);
  w.end_object();
}

/// What the session did, for people.
void tell_session(const wallet::FetchResult& result) {
  const wallet::SessionUse& use = *result.session;
  if (!result.paid.is_zero()) {
    std::fprintf(stderr, "octroi: paid %s into a session (fee %s)\n", format(result.paid).c_str(),
                 format(result.fee).c_str());
  }
  std::fprintf(stderr, "octroi: session %s: %s of %s spent\n", use.id.hex().substr(0, 8).c_str(),
               format(use.spent).c_str(), format(use.deposit).c_str());
  if (use.closed)
    std::fprintf(stderr, "octroi: session closed, %s came back\n",
                 format(use.refund_seen.value_or(Msat{})).c_str());
  for (const auto& note : result.notes) std::fprintf(stderr, "octroi: %s\n", note.c_str());
}

void write_json(const FetchFlags& flags, const wallet::FetchResult& result, Millis duration) {
  json::Writer w;
  w.begin_object().field("url", result.url).field("status", result.response.status);
  w.key("scheme");
  if (result.scheme)
    w.string(wallet::to_string(*result.scheme));
  else
    w.null();
  w.field("paid_msat", result.paid.count() /* raw: wire */);
  w.field("fee_msat", result.fee.count() /* raw: wire */);
  w.key("receipt");
  if (result.receipt.empty())
    w.null();
  else
    w.string(result.receipt);
  w.field("content_type", std::string(result.response.headers.get("Content-Type").value_or("")));
  if (flags.dry_run) {
    w.field("would_pay", result.would_pay);
    if (result.offer) {
      w.field("amount_msat", result.offer->amount.count() /* raw: wire */);
      w.field("offered_scheme", std::string(wallet::to_string(result.offer->scheme)));
    }
    if (result.session_offer) {
      w.field("amount_msat", result.session_offer->deposit.count() /* raw: wire */);
      w.field("offered_scheme", "session");
      w.field("unit_sat", result.session_offer->unit.count() /* raw: wire */);
    }
  }
  if (result.session) write_session(w, *result.session);
  if (!result.notes.empty()) {
    w.key("notes").begin_array();
    for (const auto& note : result.notes) w.string(note);
    w.end_array();
  }
  w.key("body");
  if (flags.output.empty() && is_text(result.response))
    w.string(result.response.body);
  else
    w.null();
  w.field("duration_ms", static_cast<std::int64_t>(duration.count())).end_object();
  std::printf("%s\n", std::move(w).take().c_str());
}

int present(const Common& common, const FetchFlags& flags, const wallet::FetchResult& result,
            Millis duration) {
  if (common.json) {
    write_json(flags, result, duration);
    if (!flags.output.empty() && flags.output != "-") {
      if (const int code = write_body(flags, result); code != kDone) return code;
    }
  } else if (flags.dry_run) {
    if (result.session_offer && result.would_pay)
      std::printf("would pay a deposit of %s for a session (%s a unit)\n",
                  format(result.session_offer->deposit).c_str(),
                  format(result.session_offer->unit).c_str());
    else if (result.would_pay)
      std::printf("would pay %s by %s\n", format(result.offer->amount).c_str(),
                  std::string(wallet::to_string(result.offer->scheme)).c_str());
    else
      std::printf("would not pay (HTTP %d)\n", result.response.status);
    for (const auto& note : result.notes) std::printf("  %s\n", note.c_str());
  } else {
    if (flags.include || flags.head) {
      std::printf("HTTP/1.1 %d %s\n", result.response.status,
                  std::string(http::reason_phrase(result.response.status)).c_str());
      for (const auto field : result.response.headers)
        std::printf("%.*s: %.*s\n", static_cast<int>(field.name.size()), field.name.data(),
                    static_cast<int>(field.value.size()), field.value.data());
      std::printf("\n");
    }
    if (const int code = write_body(flags, result); code != kDone) return code;
    if (result.session && !flags.silent) {
      tell_session(result);
    } else if (result.scheme && !flags.silent) {
      std::fprintf(stderr, "octroi: paid %s by %s (fee %s)\n", format(result.paid).c_str(),
                   std::string(wallet::to_string(*result.scheme)).c_str(),
                   format(result.fee).c_str());
    }
  }
  if (flags.dry_run) return result.would_pay ? kWouldPay : kWouldNotPay;
  if (flags.fail && result.response.status >= 400) return kHttpError;
  return kDone;
}

Task<void> run_fetch(net::Loop* loop, const Common* common, const FetchFlags* flags,
                     const config::Config* config, wallet::FetchRequest request,
                     std::vector<Resolve> resolves,
                     std::shared_ptr<const net::TlsClientContext> tls, int* code) {
  http::ClientConfig client_config;
  client_config.timeouts.first_byte = request.timeout;
  client_config.tls = std::move(tls);
  const bool private_targets = request.private_targets;
  client_config.guard = [private_targets](const std::string&,
                                          const net::IpAddress& address) -> Result<> {
    return private_targets ? Result<>{} : net::check_public(address);
  };
  if (!resolves.empty()) {
    client_config.resolve = [resolves](
                                const std::string& host,
                                std::uint16_t port) -> std::optional<std::vector<net::IpAddress>> {
      for (const auto& r : resolves) {
        if (r.host == host && r.port == port) return r.addresses;
      }
      return std::nullopt;
    };
  }
  auto client = http::make_client(*loop, std::move(client_config));
  WalletMeans means(*loop, *config);
  const bool has_wallet = config->wallet.has_value();
  struct Missing {
    static Task<Result<lightning::Node*>> node() { co_return fail(FlagErrc::bad_flag, kNoWallet); }
  };
  wallet::Payer payer(*client,
                      {[&means, has_wallet] { return has_wallet ? means.node() : Missing::node(); },
                       [&means] { return means.journal(); }, spender_of(*flags, request)},
                      has_wallet ? config->wallet->settings.limits : wallet::Limits{},
                      system_clock());
  wallet::SessionManager sessions(
      payer, *client,
      {[&means, has_wallet] { return has_wallet ? means.node() : Missing::node(); },
       [&means] { return means.journal(); },
       [&means, has_wallet]() -> Result<wallet::SessionBook*> {
         if (!has_wallet) return fail(FlagErrc::bad_flag, kNoWallet);
         return means.sessions();
       }},
      system_clock());
  // A stream is shown as it comes, unless all of it is to stand in something.
  BodyFile live;
  if (!common->json && !flags->include && !flags->head) {
    request.on_stream = [&live, flags, url = request.http.url.str()](ByteView piece) {
      return live.write(*flags, url, as_text(piece));
    };
  }
  const UnixMillis began = system_clock().now();
  auto result = co_await sessions.fetch(std::move(request));
  *code = result ? present(*common, *flags, *result, system_clock().now() - began)
                 : tell_error(*common, result.error(), exit_code_of(result.error()));
}

}  // namespace

int fetch_command(const Common& common, const FetchFlags& flags) {
  // Without a configuration a fetch still works; only paying needs a wallet.
  config::Config config;
  if (has_config(common)) {
    auto loaded = load_config(common);
    if (!loaded) return kUsage;
    config = std::move(loaded->config);
  } else {
    LogConfig quiet;
    quiet.level = LogLevel::warn;
    (void)configure_log(quiet);
  }
  auto request = build_request(flags, config);
  if (!request) return tell_error(common, request.error(), kUsage);
  std::vector<Resolve> resolves;
  for (const auto& text : flags.resolve) {
    auto parsed = parse_resolve(text);
    if (!parsed) return tell_error(common, parsed.error(), kUsage);
    resolves.push_back(std::move(*parsed));
  }
  std::shared_ptr<const net::TlsClientContext> tls;
  if (!flags.cacert.empty()) {
    net::TlsClientOptions options;
    auto pem = read_file(flags.cacert);
    if (!pem) return tell_error(common, pem.error(), kUsage);
    options.ca_pem = std::move(*pem);
    auto made = net::make_tls_client(std::move(options));
    if (!made) return tell_error(common, made.error(), kUsage);
    tls = std::move(*made);
  }
  int code = kFailed;
  net::Loop loop;
  run_on_loop(loop, run_fetch(&loop, &common, &flags, &config, std::move(*request),
                              std::move(resolves), std::move(tls), &code));
  return code;
}

}  // namespace octroi::app
