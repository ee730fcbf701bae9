// octroi demo: the main job, shown: an upstream, the gateway over a simulated Lightning network
// with real signed invoices, and a wallet that pays; unpaid → 402 → pay → 200, for L402 and for
// Payment. Needs no configuration, network or node.

#include <cstdio>
#include <filesystem>
#include <future>
#include <thread>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "octroi/adapters/sim/sim_node.h"
#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/runtime.h"
#include "octroi/app/signals.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/cli/config_file.h"
#include "octroi/json/writer.h"
#include "octroi/wallet/payer.h"

namespace octroi::app {

namespace {

enum class DemoErrc : std::uint8_t { step_failed };
ErrorInfo error_info(DemoErrc) { return {"demo.step-failed", ErrorKind::internal}; }

/// A folder of its own, removed at the end.
class DemoFolder {
 public:
  DemoFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "octroi-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~DemoFolder() {
    std::error_code ec;
    if (!path_.empty()) std::filesystem::remove_all(path_, ec);
  }
  DemoFolder(const DemoFolder&) = delete;
  DemoFolder& operator=(const DemoFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Task<void> weather(http::Exchange* exchange) {
  http::ResponseHead head;
  head.headers.set("Content-Type", "application/json");
  auto sent = co_await exchange->respond(std::move(head),
                                         R"({"city":"Lisbon","temperature_c":19,"sky":"clear"})"
                                         "\n");
  if (!sent) OCTROI_LOG(debug, "demo", "client left");
}

/// The demo's configuration is what a user would write, and goes through the same checks.
std::string demo_config(const std::string& folder, std::uint16_t upstream_port) {
  return fmt::format(R"(environment: development
listen: 127.0.0.1:0
store: sqlite://{0}/octroi.db
lightning: {{ backend: sim, sim: {{ file: {0}/sim.db, account: merchant }} }}
paywall:
  realm: demo.localhost
  services:
    - name: weather
      match: {{ path: "^/v1/" }}
      upstream: http://127.0.0.1:{1}
      price: 10 sat
      schemes: [l402, payment]
wallet:
  lightning: {{ backend: sim, sim: {{ file: {0}/sim.db, account: agent }} }}
  store: {0}/wallet
admin: {{ listen: "127.0.0.1:0", auth: {{ token: "file://{0}/admin.token" }} }}
log: {{ level: warn }}
telemetry: {{ access_log: off }}
)",
                     folder, upstream_port);
}

std::string shorten(std::string_view value) {
  return value.size() <= 8 ? std::string(value) : std::string(value.substr(0, 8)) + "…";
}

/// A challenge as it may be shown: macaroons, invoices and requests cut to eight characters.
std::string shorten_challenge(std::string_view line) {
  std::string out;
  while (!line.empty()) {
    const auto open = line.find("=\"");
    if (open == std::string_view::npos) break;
    const auto close = line.find('"', open + 2);
    if (close == std::string_view::npos) break;
    const auto name_at = line.find_last_of(" ,", open);
    const auto name = line.substr(name_at == std::string_view::npos ? 0 : name_at + 1,
                                  open - (name_at == std::string_view::npos ? 0 : name_at + 1));
    const auto value = line.substr(open + 2, close - open - 2);
    const bool plain = name == "realm" || name == "method" || name == "intent" ||
                       name == "expires" || name == "version";
    out +=
        std::string(line.substr(0, open + 2)) + (plain ? std::string(value) : shorten(value)) + '"';
    line = line.substr(close + 1);
  }
  return out + std::string(line);
}

/// The API that is sold, on a thread of its own.
class DemoUpstream {
 public:
  DemoUpstream() {
    std::promise<std::uint16_t> port;
    auto bound = port.get_future();
    thread_ = std::thread([this, p = std::move(port)]() mutable { run(std::move(p)); });
    port_ = bound.get();
  }
  ~DemoUpstream() {
    if (loop_ != nullptr) loop_->stop();
    thread_.join();
  }
  DemoUpstream(const DemoUpstream&) = delete;
  DemoUpstream& operator=(const DemoUpstream&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int served() const { return served_.load(); }

 private:
  void run(std::promise<std::uint16_t> port) {
    net::Loop loop;
    http::ServerConfig config;
    config.listen = {*net::IpAddress::parse("127.0.0.1"), 0};
    auto server = http::listen(loop, std::move(config), [this](http::Exchange& e) {
      served_.fetch_add(1);
      return weather(&e);
    });
    loop_ = &loop;
    port.set_value(server ? (*server)->local().port : 0);
    if (server) loop.run();
  }
  net::Loop* loop_ = nullptr;
  std::uint16_t port_ = 0;
  std::atomic<int> served_{0};
  std::thread thread_;
};

class Demo {
 public:
  Demo(Runtime& runtime, const DemoUpstream& upstream, const config::Config& config,
       std::string folder, const Common& common, bool keep)
      : runtime_(runtime),
        upstream_(upstream),
        config_(config),
        folder_(std::move(folder)),
        common_(common),
        keep_(keep) {}

  Task<void> show(const Addresses& addresses) {
    outcome = co_await story(addresses);
    if (outcome && keep_) {
      tell_how_to_go_on(addresses);
    } else {
      runtime_.stop();
    }
  }

  Result<> outcome;

 private:
  Task<Result<>> story(Addresses addresses) {
    url_ = "http://" + addresses.paywall.front().str() + "/v1/weather";
    client_ = http::make_client(runtime_.loop(), http::ClientConfig{});
    means_ = std::make_unique<WalletMeans>(runtime_.loop(), config_);
    say(fmt::format("octroi stands in front of an API at {}; a request there costs 10 sat.\n",
                    url_));

    OCTROI_CO_CHECK(co_await unpaid());
    OCTROI_CO_CHECK(co_await paid(wallet::Scheme::l402));
    OCTROI_CO_CHECK(co_await paid(wallet::Scheme::payment));
    OCTROI_CO_TRY(auto totals, sim::read_totals(folder_ + "/sim.db"));
    say("\n5. What moved on the simulated network:");
    for (const auto& account : totals.accounts)
      say(fmt::format("     {:<9} {}", account.account, format(account.balance)));
    if (const int served = upstream_.served(); served != 2) {
      co_return fail(DemoErrc::step_failed,
                     fmt::format("the upstream saw {} requests instead of 2", served));
    }
    say("\nDone: the upstream saw the two paid requests and nothing else.");
    co_return Result<>{};
  }

  Task<Result<>> unpaid() {
    say("1. GET without paying");
    http::Request request;
    OCTROI_CO_TRY(request.url, http::Url::parse(url_));
    OCTROI_CO_TRY(auto response,
                  co_await client_->fetch(std::move(request), 1 << 20, Millis(10'000)));
    say(fmt::format("     HTTP {} {}", response.status, http::reason_phrase(response.status)));
    for (auto line : response.headers.all("WWW-Authenticate"))
      say("     WWW-Authenticate: " + shorten_challenge(line));
    step("unpaid", response.status, "", Msat{});
    if (response.status != 402)
      co_return fail(DemoErrc::step_failed, fmt::format("expected 402, got {}", response.status));
    co_return Result<>{};
  }

  Task<Result<>> paid(wallet::Scheme scheme) {
    const bool l402 = scheme == wallet::Scheme::l402;
    say(fmt::format("\n{}. The wallet fetches the same URL and pays by {}", l402 ? "2" : "3",
                    l402 ? "L402" : "Payment (lightning/charge)"));
    wallet::Payer payer(*client_,
                        {[this] { return means_->node(); }, [this] { return means_->journal(); }},
                        config_.wallet->settings.limits, system_clock());
    wallet::FetchRequest request;
    OCTROI_CO_TRY(request.http.url, http::Url::parse(url_));
    request.prefer = scheme;
    request.private_targets = true;
    OCTROI_CO_TRY(auto result, co_await payer.fetch(std::move(request)));
    if (result.offer) {
      say(fmt::format("     invoice  {} over {}, signed by {}", shorten(result.offer->invoice_text),
                      format(result.offer->amount),
                      shorten(to_hex(result.offer->invoice.payee.bytes()))));
    }
    say(fmt::format("     paid     {} (fee {})", format(result.paid), format(result.fee)));
    say(fmt::format("     HTTP {} {}", result.response.status,
                    http::reason_phrase(result.response.status)));
    if (!result.receipt.empty()) say("     Payment-Receipt: " + shorten(result.receipt));
    say("     " + result.response.body.substr(0, result.response.body.find('\n')));
    step(l402 ? "l402" : "payment", result.response.status, result.receipt, result.paid);
    if (result.response.status != 200)
      co_return fail(DemoErrc::step_failed,
                     fmt::format("expected 200, got {}", result.response.status));
    if (!l402) co_return co_await again(std::move(result));
    co_return Result<>{};
  }

  /// A charge pays for one request: its proof opens nothing a second time.
  Task<Result<>> again(wallet::FetchResult result) {
    say("\n4. The same proof once more");
    http::Request request;
    OCTROI_CO_TRY(request.url, http::Url::parse(url_));
    request.headers.set(result.proof->field, result.proof->value.reveal_text());
    OCTROI_CO_TRY(auto response,
                  co_await client_->fetch(std::move(request), 1 << 20, Millis(10'000)));
    say(fmt::format("     HTTP {} {}: it was spent on one request", response.status,
                    http::reason_phrase(response.status)));
    step("replayed", response.status, "", Msat{});
    if (response.status != 402) co_return fail(DemoErrc::step_failed, "a spent proof was accepted");
    co_return Result<>{};
  }

  void tell_how_to_go_on(const Addresses& addresses) {
    const std::string config_file = folder_ + "/octroi.yaml";
    say(fmt::format("\nStill running. API {}  admin http://{}\nTry, in another terminal:", url_,
                    addresses.admin->str()));
    say(fmt::format("  curl -i {}", url_));
    say(fmt::format("  octroi fetch --config {} {}", config_file, url_));
    say(fmt::format("  curl -H \"Authorization: Bearer $(cat {}/admin.token)\" http://{}/metrics",
                    folder_, addresses.admin->str()));
    say("End it with Ctrl-C.");
    std::fflush(stdout);
  }

  void say(const std::string& line) const {
    if (common_.json) return;
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

  void step(const char* name, int status, const std::string& receipt, Msat paid) {
    if (!common_.json) return;
    json::Writer w;
    w.begin_object()
        .field("step", name)
        .field("status", status)
        .field("paid_msat", paid.count() /* raw: wire */)
        .field("receipt", !receipt.empty())
        .end_object();
    steps_ += (steps_.empty() ? "" : ",") + std::move(w).take();
  }

 public:
  void finish_json() const {
    if (!common_.json) return;
    std::printf("{\"ok\":%s,\"steps\":[%s]}\n", outcome ? "true" : "false", steps_.c_str());
  }

 private:
  Runtime& runtime_;
  const DemoUpstream& upstream_;
  const config::Config& config_;
  std::string folder_;
  const Common& common_;
  bool keep_;
  std::string url_;
  std::string steps_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<WalletMeans> means_;
};

}  // namespace

int demo_command(const Common& common, const DemoOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const DemoFolder folder;
  if (folder.path().empty()) {
    std::fputs("octroi: demo: cannot make a temporary folder\n", stderr);
    return kFailed;
  }
  const DemoUpstream upstream;
  const std::string text = demo_config(folder.path(), upstream.port());
  const std::string token = to_hex(system_random().bytes<24>());
  const std::string file = folder.path() + "/octroi.yaml";
  if (!write_file_atomic(folder.path() + "/admin.token", as_bytes(token)) ||
      !write_file_atomic(file, as_bytes(text))) {
    std::fputs("octroi: demo: cannot write to its temporary folder\n", stderr);
    return kFailed;
  }
  auto loaded = cli::try_load_config(common.call, file, true);
  auto for_wallet = cli::try_load_config(common.call, file, true);
  if (!loaded || !for_wallet) {
    std::fputs(config::to_text(loaded ? for_wallet.error() : loaded.error()).c_str(), stderr);
    return kFailed;
  }
  (void)configure_log(loaded->config.log);
  Runtime runtime(std::move(*loaded), nullptr);
  Demo demo(runtime, upstream, for_wallet->config, folder.path(), common, options.keep);
  const SignalThread signals(runtime);
  auto ran = runtime.run([&demo](const Addresses& a) { return demo.show(a); });
  demo.finish_json();
  if (!ran) return tell_error(common, ran.error(), kFailed);
  if (!demo.outcome) return tell_error(common, demo.outcome.error(), kFailed);
  return kDone;
}

}  // namespace octroi::app
