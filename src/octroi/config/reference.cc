// docs/configuration.md out of the schema.

#include <fmt/format.h>

#include "octroi/config/print.h"

namespace octroi::config {
namespace {

std::string type_name(const Field& f) {
  const auto words = [&] {
    std::string out;
    for (const std::string_view c : f.choices) {
      out += out.empty() ? "" : " ";
      out += fmt::format("`{}`", c);
    }
    return out;
  };
  const auto element = [&]() -> std::string {
    if (f.item == Type::section) return "sections";
    if (f.item == Type::choice) return words();
    return std::string(describe(f.item));
  };
  if (f.type == Type::list)
    return f.item == Type::section ? "list of sections" : "list: " + element();
  if (f.type == Type::map)
    return f.item == Type::section ? "sections by name" : "mapping: " + element();
  if (f.type == Type::choice) return words();
  if (f.type == Type::section) return "section, below";
  std::string out(describe(f.type));
  if (f.type == Type::duration && !f.choices.empty()) out += ", or " + words();
  if (f.type == Type::url && !f.choices.empty()) {
    out = "URL:";
    for (const std::string_view c : f.choices) out += fmt::format(" `{}://`", c);
  }
  return out;
}

std::string default_of(const Field& f) {
  if (f.required) return "**required**";
  if (!f.derived.empty()) return std::string(f.derived);
  if (f.fallback.empty()) return "–";
  return f.type == Type::list ? fmt::format("`[{}]`", f.fallback) : fmt::format("`{}`", f.fallback);
}

std::string notes_of(const Field& f) {
  std::string out;
  if (f.later) out += " *Not available in this version.*";
  if (!f.choices.empty() && f.later_choices.size() == f.choices.size()) {
    out += " *Not available in this version.*";
  } else if (!f.later_choices.empty()) {
    std::string list;
    for (const std::string_view c : f.later_choices)
      list += fmt::format("{}`{}`", list.empty() ? "" : ", ", c);
    out += fmt::format(" *Not available in this version: {}.*", list);
  }
  return out;
}

void row(std::string& out, const Field& f, bool restart) {
  out += fmt::format("| `{}` | {} | {} | {} | {}{} |\n", f.key, type_name(f), default_of(f),
                     restart   ? "restart"
                     : f.built ? "restart to add or remove"
                               : "reload",
                     f.doc, notes_of(f));
}

bool has_table(const Field& f) { return !f.fields.empty(); }

void section(std::string& out, const Field& f, const std::string& path, int level, bool restart) {
  const std::string_view suffix = f.type == Type::list ? "[]" : f.type == Type::map ? ".NAME" : "";
  const std::string shown = path + std::string(suffix);
  if (!path.empty()) {
    out += fmt::format("\n{} `{}`\n\n{}{}\n", std::string(static_cast<std::size_t>(level), '#'),
                       shown, f.doc, notes_of(f));
  }
  out += "\n| key | type | default | change | meaning |\n|---|---|---|---|---|\n";
  for (const Field& child : f.fields) row(out, child, restart || child.restart);
  for (const Field& child : f.fields) {
    if (has_table(child)) {
      section(out, child,
              shown.empty() ? std::string(child.key) : shown + "." + std::string(child.key),
              std::min(level + 1, 4), restart || child.restart);
    }
  }
}

}  // namespace

std::string reference_markdown() {
  std::string out = R"(# Configuration reference

<!-- Written by `octroi config docs` from the schema in src/octroi/config/schema.cc; a test fails when it is not current. -->

octroi reads one YAML file: the one named by `--config`, else `./octroi.yaml`, `$XDG_CONFIG_HOME/octroi/octroi.yaml` or
`/etc/octroi/octroi.yaml`. `octroi check` reports every problem with its line and what to write instead, `octroi config print`
shows what octroi understood, `octroi config fmt` tidies the file. A door is started only when its section is there.

## How values are written

| type | form |
|---|---|
| amount | digits and a unit: `10 sat`, `2500 msat`, `0.001 btc`, `0.05 usd` |
| duration | `250ms`, `30s`, `15m`, `24h`, `30d`, `1h30m` |
| size | `512B`, `64KiB`, `10MiB`, `1GiB`, and `KB`, `MB`, `GB` for thousands |
| on or off | `on`, `off`, `true`, `false` |
| list | `[a, b]` or one `- item` a line; a single value stands for a list of one |
| regular expression | RE2: no look-around, no back-references; time is linear |
| secret reference | `env://NAME`, `file:///path`, `file:///path.json#key`, `cred://id` (systemd), `vault://mount/path#field`, `op://vault/item/field`, `exec:///program word`: see secrets.md |

Any value may be a secret reference; it is then replaced when the file is read. A key that is not listed here, or that is given
twice, is an error, and so are anchors, aliases and tags.

## Environment overrides

A variable named `OCTROI_` and the path in capitals, with two underscores between levels, wins over the file:

| variable | sets |
|---|---|
| `OCTROI_LISTEN=0.0.0.0:8402,[::]:8402` | `listen`; lists are written with commas, or as `[a, b]` |
| `OCTROI_LOG__LEVEL=debug` | `log.level` |
| `OCTROI_PAYWALL__SERVICES__0__PRICE="20 sat"` | the price of the first service; items are numbered from 0 |
| `OCTROI_PAYWALL__SERVICES__WEATHER__PRICE="20 sat"` | the price of the service named `weather`; other characters than letters and digits become `_` |
| `OCTROI_LOG__MODULES="{mpp: debug}"` | a whole mapping or section |
| `OCTROI_LOG__MODULES__MPP=debug` | one entry of a mapping |

A variable that begins with `OCTROI_` and names no key gives a warning.

## Reloading

SIGHUP and a changed file load the configuration anew. Keys marked *reload* take effect at once for new requests; those marked
*restart* are reported and wait. When the new file has errors the old configuration stays.

## Services in the store

`octroi service add` and the admin API put services into the store, with the keys of `paywall.services[]`. They follow those of
the file in the order in which they were added; of two with one name the file's counts. Environment variables change the
file's only, and `octroi check` and `config print` show the file's only: see operations.md.

## Keys
)";
  section(out, schema(), "", 2, false);
  return out;
}

}  // namespace octroi::config
