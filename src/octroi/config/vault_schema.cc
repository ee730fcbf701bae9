// The keys of the vault door. What a policy may say is octroi/policy's to judge: here is only what
// its keys are called and what kind of value they hold.

#include "octroi/config/vault_auth.h"
#include "octroi/config/vault_section.h"

namespace octroi::config {

namespace {

using Words = std::vector<std::string_view>;

const Words& directions() {
  static const Words words{"read", "write", "charge", "refund", "payout", "message", "usage"};
  return words;
}
const Words& counted_by() {
  static const Words words{"policy", "key", "agent", "run", "customer"};
  return words;
}

Field direction_field() {
  return {.key = "direction",
          .type = Type::choice,
          .doc = "What it does with money or in the world.",
          .fallback = "write",
          .choices = directions()};
}
Field currency_field(std::string_view doc) {
  return {.key = "currency", .type = Type::text, .doc = doc, .fallback = "=USD"};
}
Field unit_field() {
  return {.key = "unit",
          .type = Type::choice,
          .doc = "Whether the amount is `12.34` or `1234`.",
          .fallback = "minor",
          .choices = {"minor", "major"}};
}

std::vector<Field> operation_fields() {
  return {
      {.key = "name",
       .type = Type::text,
       .doc = "What policies call it: `orders.create`.",
       .required = true},
      {.key = "method", .type = Type::text, .doc = "Its method.", .fallback = "POST"},
      {.key = "path",
       .type = Type::text,
       .doc = "Its path below `upstream`; `*` is one segment, `**` the rest.",
       .required = true},
      {.key = "graphql",
       .type = Type::text,
       .doc = "Of a GraphQL endpoint: `mutation refundCreate` or `query *`, the only field that it "
              "runs. Fields are looked up in its arguments, those of answers in its result."},
      direction_field(),
      {.key = "amount",
       .type = Type::text,
       .doc = "Field that says how much: `amount`, `order.total`; `lines[*].price` is the sum of "
              "all. Left out: it spends nothing."},
      {.key = "quantity",
       .type = Type::text,
       .doc = "Field beside `amount` that says how often it counts: `lines[*].quantity`."},
      currency_field("Field that says in what, or `=USD` when it is always the same."),
      unit_field(),
      {.key = "customer", .type = Type::text, .doc = "Field that says from whom."},
      {.key = "answer_amount",
       .type = Type::text,
       .doc = "Field of the answer that says what it cost in the end."},
      {.key = "answer_currency",
       .type = Type::text,
       .doc = "Field of the answer that says in what. Left out: as `currency`."},
      {.key = "answer_id",
       .type = Type::text,
       .doc = "Field of the answer that names what was made."},
      {.key = "errors",
       .type = Type::text,
       .doc = "Field of an answer with status 2xx that is empty, or nothing was done: "
              "`userErrors`."},
      {.key = "query",
       .type = Type::list,
       .doc = "Fields that its query may have beside a body. Others are refused there: which of "
              "the two a server reads is not known."},
      {.key = "mark",
       .type = Type::text,
       .doc = "Field that the vendor keeps and does nothing with, for octroi's own id of the call: "
              "`order.note`. Agents may not set it."},
  };
}

std::vector<Field> list_fields() {
  return {
      {.key = "path",
       .type = Type::text,
       .doc = "Where it is asked for, below `upstream`, with its query. `{from}` and `{to}` stand "
              "for moments, `{from_unix}` and `{to_unix}` for seconds.",
       .required = true},
      {.key = "operations",
       .type = Type::list,
       .doc = "Names of `operations` whose results it shows: what is not there was not made.",
       .required = true},
      {.key = "items",
       .type = Type::text,
       .doc = "Field of the answer that holds them. Left out: the answer is the list."},
      {.key = "id", .type = Type::text, .doc = "Field that names one.", .fallback = "id"},
      {.key = "amount", .type = Type::text, .doc = "Field that says what it cost."},
      currency_field("Field that says in what, or `=USD`."),
      unit_field(),
      {.key = "mark", .type = Type::text, .doc = "Field with the `mark` of the operation."},
      {.key = "created", .type = Type::text, .doc = "Field that says when: RFC 3339 or seconds."},
      {.key = "next",
       .type = Type::text,
       .doc = "Field of the answer with the path of the next page."},
      {.key = "page_size",
       .type = Type::integer,
       .doc = "Most that a page holds: a full one without a next one is not the whole list.",
       .min = 1,
       .max = 100'000,
       .required = true},
  };
}

std::vector<Field> tool_fields() {
  return {
      {.key = "tool",
       .type = Type::text,
       .doc = "Its name, which is what policies call it; `get_*` is every tool that begins so and "
              "is not named itself.",
       .required = true},
      direction_field(),
      {.key = "amount",
       .type = Type::text,
       .doc = "JSON Pointer into its arguments that says how much: `/order/total`. Left out: it "
              "spends nothing."},
      currency_field("JSON Pointer that says in what, or `=USD` when it is always the same."),
      unit_field(),
      {.key = "customer", .type = Type::text, .doc = "JSON Pointer that says from whom."},
      {.key = "answer_amount",
       .type = Type::text,
       .doc = "JSON Pointer into its result (the structured one, else its text as JSON) that says "
              "what it cost in the end."},
      {.key = "answer_id",
       .type = Type::text,
       .doc = "JSON Pointer into its result that names what was made."},
      {.key = "on_error",
       .type = Type::choice,
       .doc = "What a result that is an error means: nobody can tell, and what was set aside stays "
              "so (`hold`), or nothing was done (`release`).",
       .fallback = "hold",
       .choices = {"hold", "release"}},
  };
}

std::vector<Field> price_fields() {
  return {
      {.key = "input", .type = Type::usd, .doc = "Of what goes in.", .required = true},
      {.key = "output", .type = Type::usd, .doc = "Of what comes out.", .required = true},
      {.key = "cached_input",
       .type = Type::usd,
       .doc = "Of what is read from a cache.",
       .derived = "as `input`"},
      {.key = "cache_write",
       .type = Type::usd,
       .doc = "Of what is written to a cache.",
       .derived = "as `input`"},
      {.key = "context",
       .type = Type::integer,
       .doc = "Most tokens that may go in; bounds what a request with pictures or files holds.",
       .min = 0},
      {.key = "max_output",
       .type = Type::integer,
       .doc = "Most tokens that may come out, for requests that do not say.",
       .min = 0},
      {.key = "reasoning",
       .type = Type::boolean,
       .doc = "It thinks in tokens that are not in its answer: a stream that ends early costs what "
              "was set aside.",
       .fallback = "false"},
  };
}

std::vector<Field> vendor_fields() {
  return {
      {.key = "upstream",
       .type = Type::url,
       .doc = "The vendor's API.",
       .choices = {"https", "http"},
       .required = true},
      {.key = "pack",
       .type = Type::choice,
       .doc = "What knows its operations.",
       .derived = "the vendor's name, where there is a pack of that name, else `generic`",
       .choices = {"stripe", "twilio", "resend", "openai", "anthropic", "aws", "mcp", "generic"}},
      {.key = "credential",
       .type = Type::secret,
       .doc = "The real key, which agents never see.",
       .derived = "what `octroi vault register` sealed"},
      {.key = "mode",
       .type = Type::choice,
       .doc = "Which vault keys may open it: live keys or test keys.",
       .derived = "what the real key looks like, else `live`",
       .choices = {"live", "test"}},
      {.key = "auth",
       .type = Type::text,
       .doc = "How a vendor without a pack wants its key: `bearer`, `basic`, `header:NAME`, "
              "`query:NAME` or `cookie:NAME`.",
       .fallback = "bearer"},
      hmac_field(),
      oauth_field(),
      {.key = "hosts",
       .type = Type::list,
       .doc = "Names by which agents may address it beside its own."},
      {.key = "ca", .type = Type::pem, .doc = "CA that signs its certificate."},
      {.key = "timeout",
       .type = Type::duration,
       .doc = "How long it may take to begin its answer, and be silent within it.",
       .fallback = "80s",
       .min = 1'000,
       .max = 600'000},
      {.key = "prices",
       .type = Type::map,
       .doc = "What language models cost, by name: dollars for a million tokens. Before the list "
              "prices that the packs `openai` and `anthropic` know.",
       .fields = price_fields(),
       .item = Type::section},
      {.key = "operations",
       .type = Type::list,
       .doc = "What a vendor without a pack can do.",
       .fields = operation_fields(),
       .item = Type::section},
      {.key = "lists",
       .type = Type::list,
       .doc = "Where a vendor without a pack shows what was made, for `octroi vault reconcile`.",
       .fields = list_fields(),
       .item = Type::section},
      {.key = "endpoint",
       .type = Type::text,
       .doc = "Path below `upstream` at which an MCP server (`pack: mcp`) takes messages.",
       .derived = "`/mcp` with `pack: mcp`"},
      {.key = "tools",
       .type = Type::list,
       .doc = "Tools of an MCP server that may be called at all; of Stripe's, more than octroi "
              "knows.",
       .fields = tool_fields(),
       .item = Type::section},
      {.key = "mcp",
       .type = Type::url,
       .doc = "The MCP server of a vendor whose tools octroi knows (`pack: stripe`).",
       .derived = "`https://mcp.stripe.com` where `upstream` is Stripe's own API",
       .choices = {"https", "http"}},
      {.key = "verify",
       .type = Type::section,
       .doc = "The question that `octroi vault rotate` tries a new key with, where the pack knows "
              "none, or the key may not ask what the pack asks.",
       .fields =
           {{.key = "method",
             .type = Type::choice,
             .doc = "Its method.",
             .fallback = "GET",
             .choices = {"GET", "HEAD"}},
            {.key = "path",
             .type = Type::text,
             .doc = "Its path below `upstream`: something harmless that every good key may read.",
             .required = true}},
       .optional = true},
  };
}

std::vector<Field> cap_fields() {
  return {
      {.key = "per",
       .type = Type::choice,
       .doc = "How long it counts.",
       .choices = {"hour", "day", "month", "run", "lifetime"},
       .required = true},
      {.key = "usd", .type = Type::usd, .doc = "Most that may be moved."},
      {.key = "calls", .type = Type::integer, .doc = "Most calls."},
      {.key = "direction", .type = Type::choice, .doc = "Only of these.", .choices = directions()},
      {.key = "by",
       .type = Type::choice,
       .doc = "Whose calls count together.",
       .fallback = "policy",
       .choices = counted_by()},
      {.key = "budget",
       .type = Type::text,
       .doc = "A name: caps of several policies with the same one count together."},
  };
}

std::vector<Field> field_rule_fields() {
  return {
      {.key = "field",
       .type = Type::text,
       .doc = "As it is sent: `metadata[order]`.",
       .required = true},
      {.key = "one_of", .type = Type::list, .doc = "It must be one of these."},
      {.key = "none_of", .type = Type::list, .doc = "It must be none of these."},
      {.key = "like", .type = Type::list, .doc = "It must match one of these; `*` is anything."},
      {.key = "at_most", .type = Type::integer, .doc = "A number up to this."},
      {.key = "at_least", .type = Type::integer, .doc = "A number from this on."},
      {.key = "present", .type = Type::boolean, .doc = "It must be there."},
      {.key = "absent", .type = Type::boolean, .doc = "It must not be there."},
      {.key = "endpoints", .type = Type::list, .doc = "Only there."},
  };
}

std::vector<Field> policy_fields() {
  return {
      {.key = "vendor", .type = Type::text, .doc = "One of `vendors`.", .required = true},
      {.key = "mode",
       .type = Type::choice,
       .doc = "`shadow` lets everything pass and says what it would have refused.",
       .fallback = "enforce",
       .choices = {"enforce", "shadow"}},
      {.key = "endpoints",
       .type = Type::list,
       .doc = "Operations that are allowed: `charges.create`, `customers.*`, "
              "`GET /v1/charges/**`. Left out: none."},
      {.key = "max_amount", .type = Type::usd, .doc = "Most that one call may move."},
      {.key = "max_amounts",
       .type = Type::section,
       .doc = "The same of one direction.",
       .fields = {{.key = "charge", .type = Type::usd, .doc = "Of a charge."},
                  {.key = "refund", .type = Type::usd, .doc = "Of a refund."},
                  {.key = "payout", .type = Type::usd, .doc = "Of a payout."},
                  {.key = "message", .type = Type::usd, .doc = "Of a message."},
                  {.key = "usage", .type = Type::usd, .doc = "Of a model's answer."}},
       .optional = true},
      {.key = "hourly_cap", .type = Type::usd, .doc = "Most in an hour."},
      {.key = "daily_cap", .type = Type::usd, .doc = "Most in a day."},
      {.key = "monthly_cap", .type = Type::usd, .doc = "Most in a month."},
      {.key = "run_cap", .type = Type::usd, .doc = "Most in a run."},
      {.key = "lifetime_cap", .type = Type::usd, .doc = "Most ever."},
      {.key = "caps",
       .type = Type::list,
       .doc = "More of them, in dollars and in calls.",
       .fields = cap_fields(),
       .item = Type::section},
      {.key = "time_zone",
       .type = Type::text,
       .doc = "Where days and months begin: `Europe/Berlin`.",
       .fallback = "UTC"},
      {.key = "customers", .type = Type::list, .doc = "Customers that may be named."},
      {.key = "recipients",
       .type = Type::list,
       .doc = "Addresses and numbers that may be reached."},
      {.key = "countries", .type = Type::list, .doc = "Countries that may be reached: `US`."},
      {.key = "senders", .type = Type::list, .doc = "Domains that mail may come from."},
      {.key = "fields",
       .type = Type::list,
       .doc = "What fields of the request must be.",
       .fields = field_rule_fields(),
       .item = Type::section},
      {.key = "velocity",
       .type = Type::section,
       .doc = "A brake for loops.",
       .fields = {{.key = "calls", .type = Type::integer, .doc = "Most calls."},
                  {.key = "usd", .type = Type::usd, .doc = "Most dollars."},
                  {.key = "per", .type = Type::duration, .doc = "In which time.", .required = true},
                  {.key = "then",
                   .type = Type::choice,
                   .doc = "What happens then.",
                   .fallback = "deny",
                   .choices = {"deny", "pause"}},
                  {.key = "by",
                   .type = Type::choice,
                   .doc = "Whose calls count together.",
                   .fallback = "key",
                   .choices = counted_by()}},
       .optional = true},
      {.key = "approve_over", .type = Type::usd, .doc = "More than this waits for a human."},
      {.key = "approve", .type = Type::list, .doc = "Operations that always wait for a human."},
      {.key = "dedupe",
       .type = Type::duration,
       .doc = "The same call twice within this time is one.",
       .min = 1'000},
      {.key = "unknown_amount",
       .type = Type::choice,
       .doc = "When the request does not say how much.",
       .fallback = "deny",
       .choices = {"deny", "lookup", "assume_max"}},
      {.key = "unknown_customer",
       .type = Type::choice,
       .doc = "When the request does not say from whom.",
       .fallback = "deny",
       .choices = {"deny", "lookup"}},
      {.key = "expires", .type = Type::timestamp, .doc = "When keys of this policy end."},
  };
}

Field proxy_field() {
  return {
      .key = "proxy",
      .type = Type::section,
      .doc = "Programs that come as to a proxy (`HTTPS_PROXY`).",
      .fields = {{.key = "enabled",
                  .type = Type::boolean,
                  .doc = "Whether CONNECT and requests in absolute-form are taken.",
                  .fallback = "true",
                  .restart = true},
                 {.key = "others",
                  .type = Type::choice,
                  .doc =
                      "Hosts that are no vendor's: `tunnel` passes them on unseen, for who shows "
                      "a vault key, and to public addresses only.",
                  .fallback = "refuse",
                  .choices = {"refuse", "tunnel"}},
                 {.key = "ca_file",
                  .type = Type::path,
                  .doc = "The authority whose certificates answer for vendors' hosts; made on the "
                         "first use. `octroi vault ca` shows what clients have to trust.",
                  .derived = "`vault-ca.pem` beside `key_file` or the store",
                  .restart = true}},
  };
}

Field approvals_field() {
  return {
      .key = "approvals",
      .type = Type::section,
      .doc = "Calls that wait for a human: see `approve_over` and `approve` of policies.",
      .fields = {{.key = "wait",
                  .type = Type::duration,
                  .doc = "How long such a call is kept open for the answer. `0s`: it is refused at "
                         "once, and passes when it is sent again after it was approved.",
                  .fallback = "0s",
                  .max = 600'000},
                 {.key = "expires",
                  .type = Type::duration,
                  .doc = "How long a ticket may be decided, and then used. Nobody's answer is no.",
                  .fallback = "15m",
                  .min = 1'000,
                  .max = 30LL * 24 * 3'600'000}},
  };
}

Field webhook_field() {
  return {.key = "webhook",
          .type = Type::section,
          .doc = "Who is told of new tickets and of alarms, by a signed POST.",
          .fields = {{.key = "url",
                      .type = Type::url,
                      .doc = "Where to.",
                      .choices = {"https", "http"},
                      .required = true},
                     {.key = "secret",
                      .type = Type::secret,
                      .doc = "What signs each message (HMAC-SHA256).",
                      .required = true},
                     {.key = "events",
                      .type = Type::list,
                      .doc = "What it is told: see vault.md.",
                      .fallback = "approval.asked, alarm.canary, alarm.real_key",
                      .choices = {"approval.asked", "alarm.canary", "alarm.real_key", "key.revoked",
                                  "key.paused", "cap.reached", "spend.unknown"},
                      .item = Type::choice},
                     {.key = "private",
                      .type = Type::boolean,
                      .doc = "Whether it may be an address of this machine or its network.",
                      .fallback = "false"}},
          .optional = true};
}

Field reconcile_field() {
  return {.key = "reconcile",
          .type = Type::section,
          .doc = "Asking vendors what became of calls that nobody knows the outcome of.",
          .fields = {{.key = "every",
                      .type = Type::duration,
                      .doc = "How often, while there are some; `0s` only on `octroi vault "
                             "reconcile`.",
                      .fallback = "5m"},
                     {.key = "grace",
                      .type = Type::duration,
                      .doc = "What the vendor's list does not show for so long did not happen, and "
                             "its money is released.",
                      .fallback = "15m"}}};
}

}  // namespace

Field vault_section() {
  return {
      .key = "vault",
      .type = Type::section,
      .doc =
          "Keys in between: gives agents limited keys to vendors' APIs. Left out: this door is "
          "not started.",
      .fields = {{.key = "listen",
                  .type = Type::list,
                  .doc = "Where agents connect.",
                  .fallback = "127.0.0.1:8403",
                  .item = Type::endpoint,
                  .restart = true},
                 {.key = "max_body",
                  .type = Type::size,
                  .doc = "Largest request body; bodies are read before they are judged.",
                  .fallback = "1MiB",
                  .min = 1024,
                  .max = 64LL << 20},
                 {.key = "key_file",
                  .type = Type::path,
                  .doc = "Key of what `octroi vault register` seals; made on the first use.",
                  .derived = "`vault.key` beside the store"},
                 {.key = "key",
                  .type = Type::secret,
                  .doc = "The same key from elsewhere, instead of `key_file`: 32 bytes as hex or "
                         "base64, or a text of at least 32 characters."},
                 {.key = "key_passphrase",
                  .type = Type::secret,
                  .doc = "Instead of both: a passphrase of at least 12 characters, stretched with "
                         "Argon2id."},
                 {.key = "key_transit",
                  .type = Type::text,
                  .doc = "Instead of all three: a key that never leaves HashiCorp Vault's transit "
                         "engine, as `mount/name`. The server is asked as `vault://` references "
                         "ask it."},
                 proxy_field(),
                 reconcile_field(),
                 {.key = "keep_spends",
                  .type = Type::duration,
                  .doc = "How long calls that are over stay in the ledger, for reports.",
                  .fallback = "400d",
                  .min = 86'400'000},
                 approvals_field(),
                 webhook_field(),
                 {.key = "rates",
                  .type = Type::section,
                  .doc =
                      "Dollars for a unit of other currencies. Without a fresh one, calls in that "
                      "currency are refused.",
                  .fields = {{.key = "as_of",
                              .type = Type::timestamp,
                              .doc = "When they were true.",
                              .required = true},
                             {.key = "max_age",
                              .type = Type::duration,
                              .doc = "How long they may be used.",
                              .fallback = "24h",
                              .min = 60'000},
                             {.key = "haircut",
                              .type = Type::integer,
                              .doc = "Percent that a converted amount counts more.",
                              .fallback = "2",
                              .max = 100},
                             {.key = "usd",
                              .type = Type::map,
                              .doc = "By currency: `{ EUR: 1.085 usd }`.",
                              .item = Type::text,
                              .required = true}},
                  .optional = true},
                 {.key = "vendors",
                  .type = Type::map,
                  .doc = "Vendors by name.",
                  .fields = vendor_fields(),
                  .item = Type::section},
                 {.key = "policies",
                  .type = Type::map,
                  .doc = "What a key may do, by name; see docs/policy.md.",
                  .fields = policy_fields(),
                  .item = Type::section}},
      .optional = true,
      .built = true};
}

}  // namespace octroi::config
