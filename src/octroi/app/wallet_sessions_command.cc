// octroi wallet sessions: what prepaid sessions there are, and their end.

#include <algorithm>
#include <cstdio>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/version.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"
#include "octroi/net/ssrf.h"
#include "octroi/wallet/session_manager.h"

namespace octroi::app {

namespace {

constexpr std::size_t kShortestId = 8;

enum class SessionFlagErrc : std::uint8_t { no_wallet, bad_id };
ErrorInfo error_info(SessionFlagErrc e) {
  switch (e) {
    case SessionFlagErrc::no_wallet:
      return {"cli.no-wallet", ErrorKind::invalid};
    case SessionFlagErrc::bad_id:
      return {"cli.bad-flag", ErrorKind::invalid};
  }
  return {"cli.unknown", ErrorKind::internal};
}

struct Run {
  const Common& common;
  const config::Config& config;
  const SessionsQuery& query;
  net::Loop& loop;
  int code = kFailed;
};

wallet::FetchRequest template_request(const Run& run) {
  wallet::FetchRequest like;
  like.http.headers.set("User-Agent", "octroi/" + std::string(kVersion));
  like.http.headers.set("Accept", "*/*");
  like.http.headers.set("Accept-Payment", "lightning/session");
  like.timeout = Millis(std::max(1, run.query.max_time) * 1000LL);
  like.private_targets = run.config.environment == config::Environment::development;
  return like;
}

Result<std::unique_ptr<http::Client>> make_guarded_client(net::Loop& loop, bool private_targets,
                                                          const std::string& cacert) {
  http::ClientConfig config;
  if (!cacert.empty()) {
    net::TlsClientOptions options;
    OCTROI_TRY(options.ca_pem, read_file(cacert));
    OCTROI_TRY(config.tls, net::make_tls_client(std::move(options)));
  }
  config.guard = [private_targets](const std::string&, const net::IpAddress& address) -> Result<> {
    return private_targets ? Result<>{} : net::check_public(address);
  };
  return http::make_client(loop, std::move(config));
}

bool is_refund_seen(const wallet::SessionRecord& r) { return !r.refund_seen.is_zero(); }

void write_record(json::Writer& w, const wallet::SessionRecord& r) {
  w.begin_object().field("id", r.id.hex()).field("origin", r.origin);
  w.field("deposit_msat", r.deposit.count() /* raw: wire */);
  w.field("spent_msat", r.spent.count() /* raw: wire */);
  w.field("state", wallet::to_string(r.stage)).key("refund_sat");
  if (r.refund) {
    w.integer(r.refund->count() /* raw: wire */);
  } else {
    w.null();
  }
  if (r.refund_status) w.field("refund_status", mpp::lightning::to_string(*r.refund_status));
  w.field("refund_seen", is_refund_seen(r));
  w.field("refund_seen_msat", r.refund_seen.count() /* raw: wire */);
  w.field("opened", to_rfc3339(r.opened)).field("last_used", to_rfc3339(r.last_used));
  if (!r.detail.empty()) w.field("detail", r.detail);
}

void print_record(const wallet::SessionRecord& r) {
  std::string refund;
  if (is_refund_seen(r)) {
    refund = ", " + format(r.refund_seen) + " came back";
  } else if (r.refund && !r.refund->is_zero()) {
    refund = ", a refund of " + format(*r.refund) + " has not arrived";
  }
  std::printf("%s %s %s: %s of %s spent%s\n", r.id.hex().c_str(),
              std::string(wallet::to_string(r.stage)).c_str(), r.origin.c_str(),
              format(r.spent).c_str(), format(r.deposit).c_str(), refund.c_str());
}

Task<void> list(Run* run, wallet::SessionManager* sessions) {
  auto records = co_await sessions->list(template_request(*run));
  if (!records) {
    run->code = tell_error(run->common, records.error(), exit_code_of(records.error()));
    co_return;
  }
  run->code = kDone;
  if (!run->common.json) {
    for (const auto& r : *records) print_record(r);
    co_return;
  }
  json::Writer w;
  w.begin_object().key("sessions").begin_array();
  for (const auto& r : *records) {
    write_record(w, r);
    w.end_object();
  }
  w.end_array().end_object();
  std::printf("%s\n", std::move(w).take().c_str());
}

/// Which sessions are meant: all that have not ended, or the one whose id begins so.
Result<std::vector<PaymentHash>> chosen(const SessionsQuery& query, wallet::SessionBook& book) {
  OCTROI_TRY(const auto records, book.all());
  std::vector<PaymentHash> out;
  for (const auto& r : records) {
    // One that was refused is closed by its id, by who has looked into it.
    const bool ended =
        r.stage == wallet::SessionStage::closed || r.stage == wallet::SessionStage::refused;
    if (query.all ? !ended : r.id.hex().starts_with(query.id)) out.push_back(r.id);
  }
  if (query.all) return out;
  if (query.id.size() < kShortestId || out.size() > 1)
    return fail(SessionFlagErrc::bad_id, "ID: give more of its digits");
  if (out.empty())
    return fail(wallet::Errc::session_unknown, "the wallet has no session of that id");
  return out;
}

Task<void> close(Run* run, wallet::SessionManager* sessions, WalletMeans* means) {
  auto book = means->sessions();
  auto ids =
      book ? chosen(run->query, **book) : Result<std::vector<PaymentHash>>(fail(book.error()));
  if (!ids) {
    const bool usage = ids.error().is(SessionFlagErrc::bad_id);
    run->code = tell_error(run->common, ids.error(), usage ? kUsage : exit_code_of(ids.error()));
    co_return;
  }
  run->code = kDone;
  json::Writer w;
  w.begin_object().key("sessions").begin_array();
  for (const PaymentHash& id : *ids) {
    auto closed = co_await sessions->close(id, template_request(*run));
    if (!closed) {
      run->code = exit_code_of(closed.error());
      w.begin_object().field("id", id.hex()).key("error").begin_object();
      w.field("code", closed.error().code())
          .field("message", redactor().redact(closed.error().message()))
          .end_object()
          .end_object();
      if (!run->common.json) std::ignore = tell_error(run->common, closed.error(), run->code);
      continue;
    }
    if (closed->mismatch && run->code == kDone) run->code = kFailed;
    write_record(w, closed->record);
    w.field("mismatch", closed->mismatch).key("notes").begin_array();
    for (const auto& note : closed->notes) w.string(note);
    w.end_array().end_object();
    if (run->common.json) continue;
    print_record(closed->record);
    for (const auto& note : closed->notes) std::printf("  %s\n", note.c_str());
  }
  w.end_array().end_object();
  if (run->common.json) std::printf("%s\n", std::move(w).take().c_str());
}

Task<void> work(Run* run) {
  const bool private_targets = run->config.environment == config::Environment::development;
  auto made = make_guarded_client(run->loop, private_targets, run->query.cacert);
  if (!made) {
    run->code = tell_error(run->common, made.error(), kUsage);
    co_return;
  }
  const std::unique_ptr<http::Client> client = std::move(*made);
  WalletMeans means(run->loop, run->config);
  wallet::Payer payer(*client,
                      {[&means] { return means.node(); }, [&means] { return means.journal(); }},
                      run->config.wallet->settings.limits, system_clock());
  wallet::SessionManager sessions(
      payer, *client,
      {[&means] { return means.node(); }, [&means] { return means.journal(); },
       [&means] { return means.sessions(); }},
      system_clock());
  if (run->query.action == "close") {
    co_await close(run, &sessions, &means);
  } else {
    co_await list(run, &sessions);
  }
}

}  // namespace

int wallet_sessions_command(const Common& common, const SessionsQuery& query) {
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (!loaded->config.wallet) {
    return tell_error(common,
                      Error(SessionFlagErrc::no_wallet,
                            "the configuration has no wallet section; see examples/octroi.yaml"),
                      kUsage);
  }
  net::Loop loop;
  Run run{common, loaded->config, query, loop};
  run_on_loop(loop, work(&run));
  return run.code;
}

}  // namespace octroi::app
