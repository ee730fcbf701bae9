#include "octroi/config/schema.h"

#include <algorithm>
#include <string>

#include "octroi/config/vault_section.h"

namespace octroi::config {
namespace {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kYear = 366 * kDay;

using Fields = std::vector<Field>;
using Words = std::vector<std::string_view>;

/// Where each subtree of the file is described; small functions, so that each can be read alone.

Fields sim_fields(std::string_view account) {
  return {
      {.key = "file",
       .type = Type::path,
       .doc = "Database file of the simulated network. Every process that names the same file is "
              "on the same network.",
       .fallback = "/var/lib/octroi/sim.db"},
      {.key = "account",
       .type = Type::text,
       .doc = "Name of this node on the simulated network; each account has a node key of its own.",
       .fallback = account},
      {.key = "initial",
       .type = Type::bitcoin,
       .doc = "Balance that the account starts with when it is first used.",
       .fallback = "10000000 sat"},
      {.key = "fee_ppm",
       .type = Type::integer,
       .doc = "Simulated routing fee, in millionths of the amount.",
       .fallback = "0",
       .max = 1'000'000},
  };
}

Fields lnd_fields() {
  return {
      {.key = "url",
       .type = Type::url,
       .doc = "lnd's REST address. Plain http is accepted for loopback addresses only.",
       .choices = {"https", "http"},
       .required = true},
      {.key = "macaroon",
       .type = Type::secret,
       .doc = "Macaroon with invoice rights: a file of raw bytes (`file:///…/invoice.macaroon`) or "
              "a reference to its hex "
              "text.",
       .required = true},
      {.key = "pay_macaroon",
       .type = Type::secret,
       .doc = "Macaroon that may pay, where something configured pays. The wallet needs one.",
       .derived = "the same as `macaroon`"},
      {.key = "tls_cert",
       .type = Type::pem,
       .doc = "lnd's certificate, which is then the only one accepted.",
       .derived = "the system's certificate authorities"},
  };
}

Field lightning_section(std::string_view doc, std::string_view account) {
  return {.key = "lightning",
          .type = Type::section,
          .doc = doc,
          .fields = {{.key = "backend",
                      .type = Type::choice,
                      .doc = "Which kind of node. `sim` is a simulated network for development and "
                             "is refused in "
                             "production.",
                      .choices = {"sim", "lnd", "cln", "phoenixd", "lnbits", "nwc"},
                      .required = true,
                      .later_choices = {"cln", "phoenixd", "lnbits", "nwc"}},
                     {.key = "sim",
                      .type = Type::section,
                      .doc = "The simulated node, for `backend: sim`.",
                      .fields = sim_fields(account)},
                     {.key = "lnd",
                      .type = Type::section,
                      .doc = "An lnd node, for `backend: lnd`.",
                      .fields = lnd_fields(),
                      .optional = true}},
          .restart = true,
          .optional = true};
}

Field tls_section() {
  return {
      .key = "tls",
      .type = Type::section,
      .doc = "Certificate of the paywall's listeners. With it they speak https, without it http.",
      .fields =
          {{.key = "cert",
            .type = Type::pem,
            .doc = "Certificate chain in PEM, leaf first.",
            .required = true},
           {.key = "key", .type = Type::secret, .doc = "Private key in PEM.", .required = true}},
      .optional = true,
      .built = true};
}

Field upstream_urls() {
  return {
      .key = "urls",
      .type = Type::list,
      .doc =
          "Several addresses that serve the same, instead of `url`: `urls: [http://10.0.0.1:9000, "
          "http://10.0.0.2:9000]`. They share scheme and path. A request goes to one of them; one "
          "that cannot be connected is passed over.",
      .fields = {{.key = "url",
                  .type = Type::url,
                  .doc = "Address of one upstream.",
                  .choices = {"http", "https"},
                  .required = true},
                 {.key = "weight",
                  .type = Type::integer,
                  .doc = "How many requests it gets in comparison with the others.",
                  .fallback = "1",
                  .min = 1,
                  .max = 1'000}},
      .item = Type::section,
      .shorthand = "url"};
}

Field health_section() {
  return {
      .key = "health",
      .type = Type::section,
      .doc =
          "Asks each address regularly how it is. One that does not answer well gets requests only "
          "while no other is better. `health: /healthz` is short for `health: { path: /healthz }`.",
      .fields =
          {{.key = "path",
            .type = Type::text,
            .doc = "What is asked for with GET. Left out: it is enough that a connection can be "
                   "made."},
           {.key = "interval",
            .type = Type::duration,
            .doc = "Time between two questions to one address.",
            .fallback = "10s",
            .min = 100,
            .max = kHour},
           {.key = "timeout",
            .type = Type::duration,
            .doc = "No answer by then is a bad answer.",
            .fallback = "2s",
            .min = 10,
            .max = kHour},
           {.key = "healthy",
            .type = Type::integer,
            .doc = "Good answers in a row that bring an address back.",
            .fallback = "2",
            .min = 1,
            .max = 1'000},
           {.key = "unhealthy",
            .type = Type::integer,
            .doc = "Bad answers in a row that take an address out. The very first answer decides "
                   "alone.",
            .fallback = "3",
            .min = 1,
            .max = 1'000},
           {.key = "status",
            .type = Type::list,
            .doc = "Statuses of a good answer: numbers, or ranges such as `200-299`.",
            .fallback = "200-399"}},
      .shorthand = "path",
      .optional = true};
}

Field passive_section() {
  return {.key = "passive",
          .type = Type::section,
          .doc =
              "Learns from the requests themselves. An address that fails several in a row (no "
              "connection, a connection that breaks before the answer, no answer in time, 502, 503 "
              "or 504) "
              "is left alone for a while. When no address is better, it is asked all the same.",
          .fields = {
              {.key = "failures",
               .type = Type::integer,
               .doc = "How many in a row; 0: never.",
               .fallback = "5",
               .max = 1'000'000},
              {.key = "ejection",
               .type = Type::duration,
               .doc = "For how long. Each time that the first request afterwards fails again it is "
                      "twice as long, up to 32 times.",
               .fallback = "10s",
               .min = 1,
               .max = kHour}}};
}

Field upstream_section() {
  return {
      .key = "upstream",
      .type = Type::section,
      .doc =
          "The server that paid requests are relayed to. `upstream: http://127.0.0.1:9000` is "
          "short for `upstream: "
          "{ url: … }`; a path in the URL is put before each request's path.",
      .fields = {{.key = "url",
                  .type = Type::url,
                  .doc = "Address of the upstream. Certificates of https upstreams are verified.",
                  .choices = {"http", "https"}},
                 upstream_urls(),
                 {.key = "balance",
                  .type = Type::choice,
                  .doc = "Which of several addresses is next: `round_robin` takes turns, "
                         "`least_requests` asks the one with the fewest requests under way.",
                  .fallback = "round_robin",
                  .choices = {"round_robin", "least_requests"}},
                 health_section(),
                 passive_section(),
                 {.key = "max_connections",
                  .type = Type::integer,
                  .doc =
                      "Requests under way at one address, over all workers; 503 when every address "
                      "has as many. 0: no bound.",
                  .fallback = "0",
                  .max = 1'000'000},
                 {.key = "ca",
                  .type = Type::pem,
                  .doc = "Certificate authorities for this upstream, in PEM.",
                  .derived = "the system's"},
                 {.key = "server_name",
                  .type = Type::text,
                  .doc = "Name that the upstream's certificate must carry.",
                  .derived = "the host of each URL"},
                 {.key = "protocol",
                  .type = Type::choice,
                  .doc = "The HTTP that the upstream is spoken to. `auto`: over https what TLS "
                         "agrees on, over http HTTP/1.1, but HTTP/2 for gRPC calls. `h2` over http "
                         "needs no agreement (prior knowledge, \"h2c\"); over https an upstream "
                         "without HTTP/2 is refused.",
                  .fallback = "auto",
                  .choices = {"auto", "http1", "h2"}}},
      .shorthand = "url",
      .required = true};
}

Field match_section() {
  return {
      .key = "match",
      .type = Type::section,
      .doc =
          "Which requests belong to the service. The first service in the file that matches wins.",
      .fields = {
          {.key = "host",
           .type = Type::regex,
           .doc = "RE2 over the host without port; must match all of it. Left out: any host."},
          {.key = "path",
           .type = Type::regex,
           .doc = "RE2 over the decoded path, anchored at its start. Left out: any path."}}};
}

Field prices_list() {
  return {
      .key = "prices",
      .type = Type::list,
      .doc = "Prices for some paths or methods; the first rule that matches wins, before `price`.",
      .fields =
          {{.key = "path",
            .type = Type::regex,
            .doc = "RE2 over the decoded path, anchored at its start; a segment must end where "
                   "it ends, so that `/v1/cheap` prices no `/v1/cheap-but-dear`. Left out: "
                   "any path."},
           {.key = "methods", .type = Type::list, .doc = "Methods the rule is for. Left out: any."},
           {.key = "price",
            .type = Type::price,
            .doc = "Price of a request under this rule.",
            .required = true},
           {.key = "capability",
            .type = Type::text,
            .doc = "What an L402 token must be capable of for a request under this rule. "
                   "Tokens that are bought under it are."}},
      .item = Type::section};
}

Field refund_section() {
  return {.key = "refund",
          .type = Type::section,
          .doc = "How what is left of a session goes back to its payer.",
          .fields = {{.key = "max_fee",
                      .type = Type::bitcoin,
                      .doc = "Most that sending a refund may cost. Never more than the session "
                             "brought in is paid, but 1 sat always.",
                      .fallback = "10 sat"},
                     {.key = "wait",
                      .type = Type::duration,
                      .doc = "How long a close waits for the end of its refund before it is "
                             "answered `failed`; the refund goes on. 0s answers at once.",
                      .fallback = "10s",
                      .max = 10 * 60 * kSecond}}};
}

Field session_section() {
  return {
      .key = "session",
      .type = Type::section,
      .doc = "Sells prepaid sessions: a deposit, requests from it, and the rest given back.",
      .fields =
          {{.key = "unit",
            .type = Type::choice,
            .doc = "What a session pays for: requests, or what their answers hold: events of an "
                   "event stream (`chunk`), tokens of a language model, bytes.",
            .fallback = "request",
            .choices = {"request", "chunk", "token", "byte", "KiB"}},
           {.key = "price",
            .type = Type::price,
            .doc = "Price of `per` units where no rule of `prices` matches. Whole satoshi.",
            .derived = "the service's `price`"},
           {.key = "per",
            .type = Type::integer,
            .doc = "Units that `price` buys; parts of it are billed to the millisatoshi. With "
                   "`request` always 1.",
            .fallback = "1",
            .min = 1},
           {.key = "deposit",
            .type = Type::price,
            .doc = "Deposit that opens a session. Never less than one unit is asked.",
            .derived = "`price` × `deposit_multiplier`"},
           {.key = "deposit_multiplier",
            .type = Type::integer,
            .doc = "Size of the suggested deposit, in prices.",
            .fallback = "20",
            .min = 1,
            .max = 1'000'000},
           {.key = "idle_timeout",
            .type = Type::duration,
            .doc = "A session without a request for this long is closed and its rest refunded.",
            .fallback = "300s",
            .min = kSecond,
            .max = 30 * kDay},
           {.key = "hold",
            .type = Type::duration,
            .doc = "How long an answer whose session has no money left waits for a top-up.",
            .fallback = "60s",
            .max = 10 * 60 * kSecond},
           refund_section(),
           {.key = "allow_own_invoice",
            .type = Type::boolean,
            .doc = "Takes return invoices of the seller's own node, which most nodes cannot pay.",
            .fallback = "off"}},
      .optional = true};
}

Field meter_section() {
  return {
      .key = "meter",
      .type = Type::section,
      .doc =
          "Sells tokens that hold a number of units (a bundle) and are good until they are used "
          "up. One of `count` and `price` says how many.",
      .fields =
          {{.key = "unit",
            .type = Type::choice,
            .doc = "What is counted: requests, or what their answers hold: events of an event "
                   "stream (`chunk`), tokens of a language model, bytes.",
            .fallback = "request",
            .choices = {"request", "chunk", "token", "byte", "KiB"}},
           {.key = "per",
            .type = Type::integer,
            .doc =
                "Units that are counted, or priced, at once, and set aside at once for an answer "
                "that goes on.",
            .fallback = "1",
            .min = 1},
           {.key = "count",
            .type = Type::integer,
            .doc = "How often `per` units a token holds, whatever it was sold for.",
            .derived = "what the token's price buys at `price`",
            .min = 1},
           {.key = "price",
            .type = Type::price,
            .doc =
                "Price of `per` units: a token holds what it was sold for divided by this, as it "
                "is when the token is sold.",
            .derived = "none, with `count`"}},
      .optional = true};
}

Field token_section() {
  return {
      .key = "token",
      .type = Type::section,
      .doc = "What an L402 token of this service allows.",
      .fields = {
          {.key = "valid_for",
           .type = Type::duration,
           .doc = "How long a token is good after it was sold. A token without an end must be "
                  "asked for with `never`.",
           .fallback = "30d",
           .choices = {"never"},
           .min = kSecond,
           .max = 100 * kYear},
          {.key = "capabilities", .type = Type::list, .doc = "Capabilities named in the token."},
          {.key = "constraints",
           .type = Type::map,
           .doc = "Further conditions written into the token, name to value: digits are an upper "
                  "bound, everything else a list. `method`, `path`, `client` and the names of "
                  "`facts` are enforced here."},
          {.key = "facts",
           .type = Type::map,
           .doc = "What a condition is compared with, by its name: `query:NAME` or `header:NAME`. "
                  "A request where it is absent or there twice is refused to a token that has the "
                  "condition."},
          {.key = "max_requests",
           .type = Type::integer,
           .doc = "How many requests a token opens in all. Left out: as many as it lives.",
           .derived = "no limit",
           .min = 1},
          meter_section()}};
}

Field free_section() {
  return {
      .key = "free",
      .type = Type::section,
      .doc = "Requests that each client has free.",
      .fields = {{.key = "requests",
                  .type = Type::integer,
                  .doc = "How many in each period; 0 is none.",
                  .fallback = "0"},
                 {.key = "per",
                  .type = Type::duration,
                  .doc = "The period.",
                  .fallback = "24h",
                  .min = kSecond},
                 {.key = "by",
                  .type = Type::choice,
                  .doc = "What a client is: an address (a /24 of IPv4, a /48 of IPv6) or a token.",
                  .fallback = "ip",
                  .choices = {"ip", "token"}}}};
}

Field rate_limits_list() {
  return {
      .key = "rate_limits",
      .type = Type::list,
      .doc = "Token buckets; a request must pass all that apply, challenges included.",
      .fields = {{.key = "path",
                  .type = Type::regex,
                  .doc = "RE2 over the decoded path, anchored at its start. Left out: any path."},
                 {.key = "requests",
                  .type = Type::integer,
                  .doc = "Requests in each period.",
                  .min = 1,
                  .required = true},
                 {.key = "per",
                  .type = Type::duration,
                  .doc = "The period.",
                  .fallback = "60s",
                  .min = 1},
                 {.key = "burst",
                  .type = Type::integer,
                  .doc = "Requests that may come at once.",
                  .derived = "`requests`",
                  .min = 1},
                 {.key = "by",
                  .type = Type::choice,
                  .doc = "What is counted.",
                  .fallback = "token",
                  .choices = {"token", "session", "ip"}}},
      .item = Type::section};
}

Field cors_section() {
  return {.key = "cors",
          .type = Type::section,
          .doc = "Cross-origin requests from browsers. `cors: off` leaves them to the upstream.",
          .fields = {{.key = "enabled",
                      .type = Type::boolean,
                      .doc = "Whether octroi answers preflights and adds headers.",
                      .fallback = "on"},
                     {.key = "origins",
                      .type = Type::list,
                      .doc = "Origins that are allowed; `*` is any.",
                      .fallback = "*"},
                     {.key = "methods",
                      .type = Type::list,
                      .doc = "Methods that are allowed.",
                      .fallback = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
                     {.key = "allow_headers",
                      .type = Type::list,
                      .doc = "Request headers that are allowed.",
                      .fallback = "Content-Type, Authorization, Payment-Authorization, "
                                  "Payment-Receipt, Accept-Payment, "
                                  "Idempotency-Key, Grpc-Metadata-Macaroon"},
                     {.key = "expose_headers",
                      .type = Type::list,
                      .doc = "Response headers that scripts may read.",
                      .fallback = "WWW-Authenticate, Payment-Receipt, X-Request-Id, Retry-After, "
                                  "L402-Balance"},
                     {.key = "credentials",
                      .type = Type::boolean,
                      .doc = "Whether browsers may send cookies.",
                      .fallback = "off"},
                     {.key = "max_age",
                      .type = Type::duration,
                      .doc = "How long a preflight's answer is kept.",
                      .fallback = "10m",
                      .max = kDay}},
          .shorthand = "enabled"};
}

Field timeouts_section() {
  return {.key = "timeouts",
          .type = Type::section,
          .doc = "How long the upstream may take; 504 beyond.",
          .fields = {{.key = "connect",
                      .type = Type::duration,
                      .doc = "To accept the connection.",
                      .fallback = "5s",
                      .min = 1,
                      .max = kHour},
                     {.key = "first_byte",
                      .type = Type::duration,
                      .doc = "To begin its answer.",
                      .fallback = "60s",
                      .min = 1,
                      .max = kDay},
                     {.key = "idle",
                      .type = Type::duration,
                      .doc = "Between two pieces of a body.",
                      .fallback = "60s",
                      .min = 1,
                      .max = kDay}}};
}

Field payment_section() {
  return {
      .key = "payment",
      .type = Type::section,
      .doc = "Details of the Payment scheme.",
      .fields = {{.key = "intents",
                  .type = Type::list,
                  .doc = "What can be bought: single requests (`charge`), sessions (`session`). "
                         "Of those that a client accepts alike the first one is offered.",
                  .derived = "`[charge]`, and with `session:` also `session`",
                  .choices = {"charge", "session"},
                  .item = Type::choice},
                 {.key = "offer",
                  .type = Type::choice,
                  .doc = "How many intents a 402 shows: the one that the client prefers, or all "
                         "that it accepts. Many clients read one challenge only.",
                  .fallback = "first",
                  .choices = {"first", "all"}},
                 {.key = "opaque",
                  .type = Type::boolean,
                  .doc = "Adds the `opaque` parameter to challenges. Some clients do not echo it.",
                  .fallback = "off"},
                 {.key = "header",
                  .type = Type::boolean,
                  .doc = "Asks clients to send credentials in `Payment-Authorization`. Some "
                         "clients ignore it.",
                  .fallback = "off"}}};
}

Field rewrite_section() {
  return {.key = "rewrite",
          .type = Type::section,
          .doc = "Changes the path on its way to the upstream: first `strip`, then `prefix`.",
          .fields = {{.key = "strip",
                      .type = Type::text,
                      .doc = "Removed from the start of the path, where it is there."},
                     {.key = "prefix", .type = Type::text, .doc = "Put before the path."}},
          .shorthand = "prefix"};
}

Field discovery_section() {
  return {.key = "discovery",
          .type = Type::section,
          .doc = "Whether the service is listed in `/openapi.json` and `/llms.txt`.",
          .fields = {{.key = "enabled",
                      .type = Type::boolean,
                      .doc = "Lists the service.",
                      .fallback = "on"},
                     {.key = "shadow",
                      .type = Type::boolean,
                      .doc = "Answers these paths even where the upstream has them itself.",
                      .fallback = "off"}},
          .shorthand = "enabled"};
}

Field price_source_section() {
  return {
      .key = "price_source",
      .type = Type::section,
      .doc =
          "Who says what a request costs, instead of `price` and `prices` (see docs/pricing.md).",
      .fields = {{.key = "name",
                  .type = Type::text,
                  .doc = "One of `paywall.price_sources`.",
                  .required = true},
                 {.key = "metered",
                  .type = Type::boolean,
                  .doc = "L402 tokens are bundles that the source keeps: it is asked before each "
                         "request and told after it what came of it.",
                  .fallback = "off"},
                 {.key = "sessions",
                  .type = Type::boolean,
                  .doc = "The source quotes each request on a session, and says afterwards what "
                         "it cost.",
                  .fallback = "off"},
                 {.key = "body",
                  .type = Type::size,
                  .doc = "The source is told the bodies of POST, PUT and PATCH, and what is paid "
                         "is bound to them. Longer ones get 413; 0 tells none.",
                  .fallback = "1MiB",
                  .max = 4LL << 20}},
      .shorthand = "name",
      .optional = true};
}

Field price_sources_map() {
  return {
      .key = "price_sources",
      .type = Type::map,
      .doc = "Programs that are asked for prices, by name.",
      .fields = {{.key = "url",
                  .type = Type::url,
                  .doc = "Where it is; a path is put before those of its calls.",
                  .choices = {"http", "https"},
                  .required = true},
                 {.key = "protocol",
                  .type = Type::choice,
                  .doc = "`http` is JSON, `grpc` the service `pricesrpc.Prices`.",
                  .fallback = "http",
                  .choices = {"http", "grpc"}},
                 {.key = "ca",
                  .type = Type::pem,
                  .doc = "PEM file of the CA to trust instead of the system's."},
                 {.key = "server_name",
                  .type = Type::text,
                  .doc = "Name to verify in its certificate.",
                  .derived = "the URL's host"},
                 {.key = "token", .type = Type::secret, .doc = "Shown to it as a bearer token."},
                 {.key = "timeout",
                  .type = Type::duration,
                  .doc = "For each call; then 503 with `Retry-After`, and nothing is consumed.",
                  .fallback = "5s",
                  .min = 50,
                  .max = 5 * kSecond},
                 {.key = "keep_reports",
                  .type = Type::duration,
                  .doc = "How long a report that it does not take is tried again.",
                  .fallback = "7d",
                  .min = kMinute,
                  .max = kYear}},
      .item = Type::section};
}

Fields service_fields() {
  return {
      {.key = "name",
       .type = Type::text,
       .doc = "Name in tokens, logs, metrics and rows: letters, digits, `.`, `_` and `-`. Tokens "
              "are bound to it.",
       .required = true},
      {.key = "description",
       .type = Type::text,
       .doc = "Shown to payers and in discovery. It never authorises anything."},
      match_section(),
      {.key = "methods",
       .type = Type::list,
       .doc = "Methods that are served; others get 405. Left out: any."},
      upstream_section(),
      {.key = "auth",
       .type = Type::choice,
       .doc = "`off` relays without payment; then no price is needed.",
       .fallback = "on",
       .choices = {"on", "off"}},
      {.key = "price",
       .type = Type::price,
       .doc = "Price of a request. In sat, msat, btc, or in usd with `rates`. `0 sat` asks for a "
              "proof without money, which needs `payment` in `schemes`; `auth: off` is the way to "
              "be free."},
      prices_list(),
      {.key = "capability",
       .type = Type::text,
       .doc = "What an L402 token must be capable of where no rule of `prices` matches."},
      price_source_section(),
      {.key = "schemes",
       .type = Type::list,
       .doc = "Which payment schemes are offered and accepted. `mpp` is another name of `payment`, "
              "and `l402+mpp` stands for "
              "both.",
       .fallback = "l402",
       .choices = {"l402", "payment", "mpp", "l402+mpp"},
       .item = Type::choice},
      {.key = "lsat",
       .type = Type::boolean,
       .doc = "Also shows the L402 offer under its former name LSAT, for older clients.",
       .fallback = "on"},
      token_section(),
      payment_section(),
      session_section(),
      free_section(),
      rate_limits_list(),
      {.key = "free_paths",
       .type = Type::list,
       .doc = "Paths that are relayed without payment, RE2 anchored as the paths of `prices`.",
       .item = Type::regex},
      {.key = "no_invoice_paths",
       .type = Type::list,
       .doc = "Paths whose unpaid requests get 401 and no invoice, RE2 anchored at the start.",
       .item = Type::regex},
      {.key = "headers",
       .type = Type::map,
       .doc = "Headers set on requests to the upstream. A value may be a reference, or hold one: "
              "`Bearer ${env://API_KEY}`.",
       .embedded = true},
      rewrite_section(),
      timeouts_section(),
      {.key = "max_body",
       .type = Type::size,
       .doc = "Largest request body; 413 beyond.",
       .fallback = "10MiB",
       .max = 1LL << 40},
      {.key = "digest",
       .type = Type::choice,
       .doc = "Binds the bodies of POST, PUT and PATCH into Payment challenges, so that what was "
              "paid for is what is sent. "
              "`off` streams them unbound.",
       .fallback = "on",
       .choices = {"on", "off"}},
      {.key = "digest_limit",
       .type = Type::size,
       .doc = "Largest body that is bound. With `digest: on` larger ones get 413.",
       .fallback = "1MiB",
       .min = 1,
       .max = 64LL << 20},
      {.key = "scope",
       .type = Type::choice,
       .doc = "What one Payment credential opens: the path it was bought for, any path of its "
              "price rule, or only the same path and "
              "query.",
       .fallback = "path",
       .choices = {"path", "rule", "query"}},
      cors_section(),
      {.key = "block",
       .type = Type::list,
       .doc = "Addresses and networks that get 403.",
       .item = Type::cidr},
      {.key = "strict",
       .type = Type::boolean,
       .doc =
           "Asks the node whether the invoice is settled instead of trusting the preimage alone.",
       .fallback = "off"},
      {.key = "forward",
       .type = Type::choice,
       .doc = "What the upstream learns: nothing, or `X-Octroi-Token-Id`, `-Session-Id`, "
              "`-Service` and `-Amount-Msat`.",
       .fallback = "none",
       .choices = {"none", "identity"}},
      discovery_section(),
  };
}

Field paywall_section() {
  return {
      .key = "paywall",
      .type = Type::section,
      .doc =
          "Money in: sells requests to the upstreams of its services. Left out: this door is not "
          "started.",
      .fields = {{.key = "realm",
                  .type = Type::text,
                  .doc = "Name of the protected space in challenges; the host that clients use.",
                  .derived = "the listen address"},
                 {.key = "secret",
                  .type = Type::list,
                  .doc = "Key of Payment challenges, or `[current, previous…]` while it is "
                         "rotated. At least 32 bytes.",
                  .derived = "32 random bytes, made once and kept in the store",
                  .item = Type::secret},
                 {.key = "l402_keys",
                  .type = Type::list,
                  .doc = "Ring of root keys of L402 tokens, the current one first. Keep a previous "
                         "one for as long as the longest "
                         "token sold under it. At least 32 bytes each.",
                  .derived = "32 random bytes, made once and kept in the store",
                  .item = Type::secret},
                 {.key = "challenge_ttl",
                  .type = Type::duration,
                  .doc = "How long a challenge can be paid.",
                  .fallback = "15m",
                  .min = 10 * kSecond,
                  .max = kDay},
                 {.key = "verify_within",
                  .type = Type::duration,
                  .doc = "How long the store and the node are given to judge a Payment "
                         "credential; then 503, and nothing is consumed.",
                  .fallback = "10s",
                  .min = 100,
                  .max = 60 * kSecond},
                 {.key = "max_unpaid",
                  .type = Type::integer,
                  .doc = "Unpaid, unexpired challenges that a client may hold under each scheme; "
                         "429 beyond. 0 is no bound.",
                  .fallback = "64",
                  .max = 1'000'000,
                  .restart = true},
                 {.key = "invoice_pool",
                  .type = Type::integer,
                  .doc = "Ready invoices kept for each amount in demand. 0 asks the node for each "
                         "challenge.",
                  .fallback = "32",
                  .max = 4096,
                  .restart = true},
                 {.key = "block",
                  .type = Type::list,
                  .doc = "Addresses and networks that get 403 from every service.",
                  .item = Type::cidr},
                 price_sources_map(),
                 {.key = "services",
                  .type = Type::list,
                  .doc =
                      "What is sold, first match first. Services that were added while octroi ran "
                      "(`octroi service add`) stand in the store and come after these; of two "
                      "with one name, the one in this file counts.",
                  .fields = service_fields(),
                  .item = Type::section},
                 {.key = "store_references",
                  .type = Type::list,
                  .doc = "What references to secrets in services of the store may begin with: "
                         "`[env://UPSTREAM_, file:///etc/octroi/upstreams/]`. Whoever holds the "
                         "admin token can have what they point to sent to an upstream. Left out: "
                         "such services hold no references.",
                  .literal = true}},
      .optional = true,
      .built = true};
}

Field retention_section() {
  return {
      .key = "retention",
      .type = Type::section,
      .doc =
          "How long the store keeps what is over. What can still be valid is never removed, "
          "and sums of what was removed stay.",
      .fields = {{.key = "transactions",
                  .type = Type::duration,
                  .doc = "Settled transactions, from their settlement.",
                  .fallback = "forever",
                  .choices = {"forever"},
                  .min = kDay},
                 {.key = "sessions",
                  .type = Type::duration,
                  .doc = "Sessions that are closed and whose refund was paid, or was none, with "
                         "the claim of their deposit.",
                  .fallback = "forever",
                  .choices = {"forever"},
                  .min = kDay},
                 {.key = "approvals",
                  .type = Type::duration,
                  .doc = "Tickets of the vault that were used, denied or not answered, from the "
                         "last that happened to them. What they let pass and the audit stay.",
                  .fallback = "forever",
                  .choices = {"forever"},
                  .min = kDay},
                 {.key = "expired",
                  .type = Type::duration,
                  .doc = "Everything else, such as unpaid challenges and used proofs, from the "
                         "moment at which nothing over it can be valid any more.",
                  .fallback = "24h",
                  .min = kHour,
                  .max = kYear}}};
}

Field wallet_section() {
  return {.key = "wallet",
          .type = Type::section,
          .doc = "Money out: pays for `octroi fetch` and agents, under limits.",
          .fields = {lightning_section("The payer's node.", "agent"),
                     {.key = "store",
                      .type = Type::path,
                      .doc = "Directory of the payment journal.",
                      .fallback = "~/.local/state/octroi"},
                     {.key = "limits",
                      .type = Type::section,
                      .doc = "What may be spent, over all processes of this store. Arguments can "
                             "only tighten them.",
                      .fields = {{.key = "per_payment",
                                  .type = Type::bitcoin,
                                  .doc = "Most that one payment may cost.",
                                  .fallback = "1000 sat"},
                                 {.key = "per_minute",
                                  .type = Type::bitcoin,
                                  .doc = "Most in any minute.",
                                  .fallback = "10000 sat"},
                                 {.key = "per_day",
                                  .type = Type::bitcoin,
                                  .doc = "Most in any day.",
                                  .fallback = "50000 sat"},
                                 {.key = "max_fee",
                                  .type = Type::bitcoin,
                                  .doc = "Most that routing may cost on top.",
                                  .fallback = "10 sat"}}}},
          .optional = true,
          .built = true};
}

Field price_server_section() {
  return {
      .key = "price_server",
      .type = Type::section,
      .doc =
          "`octroi price-server`: prices of language models by the token, for the paywall of this "
          "or another machine (see docs/pricing.md).",
      .fields = {{.key = "listen",
                  .type = Type::endpoint,
                  .doc = "Where it answers, over HTTP and gRPC.",
                  .fallback = "127.0.0.1:8405",
                  .restart = true},
                 {.key = "token",
                  .type = Type::secret,
                  .doc = "Bearer token that a paywall must show; needed beyond this machine.",
                  .derived = "none"},
                 {.key = "bundle",
                  .type = Type::bitcoin,
                  .doc = "What a token buys at least; more where one request may cost more.",
                  .fallback = "1000 sat"},
                 {.key = "default_model",
                  .type = Type::text,
                  .doc = "Model of requests that name none.",
                  .derived = "none: they are refused"},
                 {.key = "models",
                  .type = Type::map,
                  .doc = "Models by name.",
                  .fields = {{.key = "input",
                              .type = Type::bitcoin,
                              .doc = "Price of 1,000 tokens that go in.",
                              .required = true},
                             {.key = "output",
                              .type = Type::bitcoin,
                              .doc = "Price of 1,000 tokens that come out.",
                              .required = true}},
                  .item = Type::section,
                  .required = true},
                 {.key = "keep_unused",
                  .type = Type::duration,
                  .doc =
                      "How long a bundle is kept whose token was never shown. Longer than tokens "
                      "are valid, or who pays late has paid for nothing.",
                  .fallback = "31d",
                  .min = kHour,
                  .max = 10 * kYear}},
      .restart = true,
      .optional = true};
}

Field log_section() {
  const Words levels{"trace", "debug", "info", "warn", "error", "off"};
  return {
      .key = "log",
      .type = Type::section,
      .doc = "What octroi says about itself. Secrets and credentials are cut out of every line.",
      .fields = {{.key = "level",
                  .type = Type::choice,
                  .doc = "Least level that is written.",
                  .fallback = "info",
                  .choices = levels},
                 {.key = "format",
                  .type = Type::choice,
                  .doc = "Text for people or JSON lines.",
                  .fallback = "text",
                  .choices = {"text", "json"}},
                 {.key = "file",
                  .type = Type::path,
                  .doc = "File to write to.",
                  .derived = "standard error"},
                 {.key = "rotation",
                  .type = Type::section,
                  .doc = "When `file` is renamed and begun anew.",
                  .fields = {{.key = "size",
                              .type = Type::size,
                              .doc = "Beyond this size.",
                              .fallback = "64MiB",
                              .min = 4096},
                             {.key = "keep",
                              .type = Type::integer,
                              .doc = "Old files kept.",
                              .fallback = "5",
                              .max = 1000}}},
                 {.key = "modules",
                  .type = Type::map,
                  .doc = "Levels of single modules: `{ mpp: debug }`.",
                  .choices = levels,
                  .item = Type::choice}}};
}

Field admin_section() {
  return {
      .key = "admin",
      .type = Type::section,
      .doc =
          "Health, metrics and the API that the other commands use. Left out: this listener is not "
          "started.",
      .fields = {{.key = "listen",
                  .type = Type::endpoint,
                  .doc = "Where.",
                  .fallback = "127.0.0.1:8404",
                  .restart = true},
                 {.key = "auth",
                  .type = Type::section,
                  .doc = "Who may use it.",
                  .fields = {{.key = "token",
                              .type = Type::secret,
                              .doc = "Bootstrap token. A `file://` that does not exist is made on "
                                     "the first start.",
                              .derived = "`admin.token` beside the store, made on the first start",
                              .restart = true},
                             {.key = "oauth",
                              .type = Type::section,
                              .doc = "Tokens of an OAuth 2.1 issuer.",
                              .fields = {{.key = "issuer",
                                          .type = Type::url,
                                          .doc = "The issuer.",
                                          .choices = {"https"},
                                          .required = true},
                                         {.key = "audience",
                                          .type = Type::text,
                                          .doc = "Audience that tokens must name.",
                                          .required = true}},
                              .optional = true,
                              .later = true}}}},
      .optional = true,
      .built = true};
}

Field make_schema() {
  return {
      .type = Type::section,
      .fields = {
          {.key = "environment",
           .type = Type::choice,
           .doc = "Production refuses what is only for development: the simulated node and secrets "
                  "written into this file.",
           .fallback = "development",
           .choices = {"development", "staging", "production"},
           .restart = true},
          {.key = "listen",
           .type = Type::list,
           .doc = "Where the paywall listens; https when `tls` is set.",
           .fallback = "127.0.0.1:8402",
           .item = Type::endpoint,
           .restart = true},
          tls_section(),
          {.key = "trusted_proxies",
           .type = Type::list,
           .doc = "Networks of proxies whose `X-Forwarded-*` and `X-Request-Id` are believed.",
           .item = Type::cidr},
          {.key = "store",
           .type = Type::url,
           .doc = "The ledger: `sqlite:///path` for one process, `postgresql://user@host/database` "
                  "(with libpq's `?sslmode=verify-full` and such) for replicas that share it.",
           .fallback = "sqlite:///var/lib/octroi/octroi.db",
           .choices = {"sqlite", "postgresql", "postgres"},
           .restart = true},
          {.key = "store_password",
           .type = Type::secret,
           .doc = "The password of the PostgreSQL user. Left out: none is sent, or libpq finds one "
                  "(`.pgpass`).",
           .restart = true},
          {.key = "shared",
           .type = Type::url,
           .doc = "Redis where replicas count rate limits and unpaid challenges together: "
                  "`redis://user@host:6379/0`, or `rediss://` over TLS.",
           .derived = "each process counts by itself",
           .choices = {"redis", "rediss"},
           .restart = true},
          {.key = "shared_password",
           .type = Type::secret,
           .doc = "The password of the Redis user.",
           .derived = "none is sent",
           .restart = true},
          {.key = "shared_ca",
           .type = Type::pem,
           .doc = "The authority that signed the certificate of a `rediss://` server.",
           .derived = "the system's certificate authorities",
           .restart = true},
          {.key = "audit_checkpoints",
           .type = Type::path,
           .doc = "The file to which the audit's signed checkpoints are added, best on another "
                  "machine's disk: it finds a store whose audit was cut off or put back.",
           .derived = "beside a `sqlite://` store; none with PostgreSQL",
           .restart = true},
          {.key = "workers",
           .type = Type::integer,
           .doc = "Threads that serve requests; 0 is one a core.",
           .fallback = "0",
           .max = 1024,
           .restart = true},
          {.key = "shutdown_grace",
           .type = Type::duration,
           .doc = "How long open requests may finish after SIGTERM.",
           .fallback = "30s",
           .max = kHour},
          lightning_section("The seller's node. Needed where the paywall sells.", "merchant"),
          retention_section(),
          paywall_section(),
          vault_section(),
          wallet_section(),
          price_server_section(),
          {.key = "rates",
           .type = Type::section,
           .doc = "Price of a bitcoin, for prices in usd. A rate that is too old refuses to price "
                  "anything.",
           .fields = {{.key = "btc_usd",
                       .type = Type::usd,
                       .doc = "Dollars for one bitcoin.",
                       .required = true},
                      {.key = "as_of",
                       .type = Type::timestamp,
                       .doc = "When that was true.",
                       .required = true},
                      {.key = "max_age",
                       .type = Type::duration,
                       .doc = "How long it may be used.",
                       .fallback = "24h",
                       .min = kMinute,
                       .max = kYear}},
           .optional = true},
          admin_section(),
          log_section(),
          {.key = "telemetry",
           .type = Type::section,
           .doc = "What octroi measures.",
           .fields = {{.key = "metrics",
                       .type = Type::choice,
                       .doc =
                           "`/metrics` on the admin listener; `public` serves it without a token.",
                       .fallback = "on",
                       .choices = {"on", "off", "public"}},
                      {.key = "otlp",
                       .type = Type::url,
                       .doc = "OpenTelemetry collector that takes OTLP over HTTP, without "
                              "`/v1/traces`: `http://127.0.0.1:4318`. Left out: nothing is "
                              "recorded.",
                       .choices = {"http", "https"}},
                      {.key = "otlp_headers",
                       .type = Type::map,
                       .doc = "Headers sent to the collector. A value may be a reference, or hold "
                              "one: `Bearer ${env://OTLP_TOKEN}`.",
                       .embedded = true},
                      {.key = "otlp_ca",
                       .type = Type::pem,
                       .doc = "Certificate authorities for the collector, in PEM.",
                       .derived = "the system's"},
                      {.key = "otlp_sample",
                       .type = Type::text,
                       .doc = "Share of the requests without a `traceparent` whose traces are "
                              "recorded: `5%`, `0.1%`, `0%`. With one, who sent it has decided.",
                       .fallback = "100%"},
                      {.key = "otlp_interval",
                       .type = Type::duration,
                       .doc = "How often metrics are sent.",
                       .fallback = "60s",
                       .min = 1'000,
                       .max = 3'600'000},
                      {.key = "otlp_service",
                       .type = Type::text,
                       .doc = "Name under which the collector sees this server.",
                       .fallback = "octroi"},
                      {.key = "propagate",
                       .type = Type::boolean,
                       .doc = "Whether vendors get `traceparent` and `tracestate` of calls through "
                              "the vault. Upstreams of the paywall always do.",
                       .fallback = "false"},
                      {.key = "access_log",
                       .type = Type::text,
                       .doc = "`stdout`, `off` or a file.",
                       .fallback = "stdout"}},
           .restart = true},
      }};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// Spelling without what people get wrong first: case, dashes, underscores.
std::string folded(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '_' || c == '-' || c == ' ' || c == '.') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

const Field& schema() {
  static const Field root = make_schema();
  return root;
}

const Field* find_field(std::string_view path) {
  const Field* at = &schema();
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    const Field* next = nullptr;
    for (const Field& f : at->fields) {
      if (f.key == key) next = &f;
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

std::vector<std::string_view> keys_of(const Field& section) {
  std::vector<std::string_view> keys;
  for (const Field& f : section.fields) keys.push_back(f.key);
  return keys;
}

std::string_view nearest(std::string_view key, const std::vector<std::string_view>& known) {
  if (key.size() > 64) return {};
  const std::string wanted = folded(key);
  std::string_view best;
  std::size_t best_distance = 0;
  for (const std::string_view candidate : known) {
    const std::string other = folded(candidate);
    const std::size_t distance = edit_distance(wanted, other);
    // A third of the letters may be wrong: "lisen" is "listen", "foo" is nothing.
    if (distance > std::max<std::size_t>(1, std::min(wanted.size(), other.size()) / 3)) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

Shape shape_of(Type type) {
  switch (type) {
    case Type::section:
      return Shape::section;
    case Type::map:
      return Shape::map;
    case Type::list:
      return Shape::list;
    case Type::boolean:
    case Type::choice:
    case Type::integer:
    case Type::text:
    case Type::duration:
    case Type::size:
    case Type::price:
    case Type::bitcoin:
    case Type::usd:
    case Type::cidr:
    case Type::endpoint:
    case Type::url:
    case Type::regex:
    case Type::secret:
    case Type::pem:
    case Type::path:
    case Type::timestamp:
      return Shape::leaf;
  }
  return Shape::leaf;
}

std::string_view describe(Type type) {
  switch (type) {
    case Type::section:
      return "a section (keys and values)";
    case Type::map:
      return "a mapping of names to values";
    case Type::list:
      return "a list";
    case Type::boolean:
      return "on or off";
    case Type::choice:
      return "one of its words";
    case Type::integer:
      return "a whole number";
    case Type::text:
      return "text";
    case Type::duration:
      return "a duration such as 15m";
    case Type::size:
      return "a size such as 64KiB";
    case Type::price:
      return "an amount such as 10 sat or 0.05 usd";
    case Type::bitcoin:
      return "an amount such as 10 sat or 2500 msat";
    case Type::usd:
      return "an amount such as 65000 usd";
    case Type::cidr:
      return "an address or network such as 10.0.0.0/8";
    case Type::endpoint:
      return "an address and port such as 127.0.0.1:8402";
    case Type::url:
      return "a URL such as http://127.0.0.1:9000";
    case Type::regex:
      return "a regular expression (RE2)";
    case Type::secret:
      return "a secret reference such as env://NAME";
    case Type::pem:
      return "a reference to PEM text such as file:///path/to/file.pem";
    case Type::path:
      return "a path";
    case Type::timestamp:
      return "a date or time such as 2026-11-01";
  }
  return "a value";
}

}  // namespace octroi::config
