// One scalar, read as the type its field has.

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <re2/re2.h>

#include "octroi/config/check.h"

namespace octroi::config {
namespace {

constexpr std::array<std::string_view, 13> kProviders{
    "env://",  "file://",  "cred://",      "keychain://", "vault://", "awssm://", "awsps://",
    "azkv://", "gcpsm://", "infisical://", "doppler://",  "op://",    "exec://"};

std::string words(const std::vector<std::string_view>& list) {
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += i + 1 == list.size() ? " or " : ", ";
    out += list[i];
  }
  return out;
}

bool contains(const std::vector<std::string_view>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// Reads one leaf; `quote` is false where the value may be worth keeping quiet.
class LeafParser {
 public:
  LeafParser(Value& value, const std::string& path, Context& context)
      : v_(value), path_(path), context_(context) {}

  void run(const std::string& written) {
    v_.text = written;
    if (v_.type == Type::secret || v_.type == Type::pem) {
      secret(written);
      return;
    }
    if (v_.type == Type::text && v_.field->embedded) {
      embedded(written);
      return;
    }
    if (v_.field->literal || !is_reference(written)) {
      typed(written, /*quote=*/true);
      return;
    }
    v_.reference = written;
    if (!context_.options.resolve) return;  // checked where the secrets are
    const auto fetched = context_.fetch(written);
    if (!fetched) {
      problem(std::string(fetched.error().message()),
              "make the reference resolve, or write the value");
      return;
    }
    typed(std::string((*fetched)->reveal_text()), /*quote=*/false);
    v_.text = written;
  }

 private:
  void problem(std::string message, std::string fix) {
    v_.valid = false;
    context_.error(v_, path_, std::move(message), std::move(fix));
  }

  /// The value as messages may show it.
  std::string shown(const std::string& text) const {
    if (!quote_) return "the value of " + v_.reference;
    if (text.size() <= 60) return "\"" + text + "\"";
    return "\"" + text.substr(0, 57) + "…\"";
  }
  std::string what() const {
    return v_.type == Type::choice || !v_.field->choices.empty() ? words(v_.field->choices)
                                                                 : std::string(describe(v_.type));
  }

  void typed(const std::string& text, bool quote) {
    quote_ = quote;
    switch (v_.type) {
      case Type::boolean:
        boolean(text);
        break;
      case Type::choice:
        choice(text);
        break;
      case Type::integer:
        integer(text);
        break;
      case Type::text:
        plain(text);
        break;
      case Type::duration:
        duration(text);
        break;
      case Type::size:
        size(text);
        break;
      case Type::price:
        price(text);
        break;
      case Type::bitcoin:
        bitcoin(text);
        break;
      case Type::usd:
        usd(text);
        break;
      case Type::cidr:
        cidr(text);
        break;
      case Type::endpoint:
        endpoint(text);
        break;
      case Type::url:
        url(text);
        break;
      case Type::regex:
        regex(text);
        break;
      case Type::path:
        file_path(text);
        break;
      case Type::timestamp:
        timestamp(text);
        break;
      case Type::secret:
      case Type::pem:
      case Type::section:
      case Type::map:
      case Type::list:
        break;
    }
  }

  void boolean(const std::string& text) {
    if (text == "on" || text == "true") {
      set(true, "on");
    } else if (text == "off" || text == "false") {
      set(false, "off");
    } else {
      problem(fmt::format("must be on or off, not {}", shown(text)), "write on or off");
    }
  }

  void choice(std::string text) {
    const auto& choices = v_.field->choices;
    // `metrics: true` where on, off and a third word are known; not where the words are the whole
    // type.
    if (choices.size() > 2 && contains(choices, "on")) {
      if (text == "true") text = "on";
      if (text == "false") text = "off";
    }
    if (!contains(choices, text)) {
      const std::string_view close = nearest(text, choices);
      problem(
          fmt::format("must be {}, not {}", words(choices), shown(text)),
          close.empty() ? "write " + words(choices) : fmt::format("did you mean \"{}\"?", close));
      return;
    }
    if (contains(v_.field->later_choices, text) && v_.given) {
      std::vector<std::string_view> now;
      for (const std::string_view c : choices) {
        if (!contains(v_.field->later_choices, c)) now.push_back(c);
      }
      problem(fmt::format("{} is not available in this version", text), "use " + words(now));
      return;
    }
    set(text, text);
  }

  void integer(const std::string& text) {
    std::int64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) {
      problem(fmt::format("must be a whole number, not {}", shown(text)), "write digits only");
      return;
    }
    if (n < v_.field->min || n > v_.field->max) {
      problem(fmt::format("must be {}", range()), "choose a number in that range");
      return;
    }
    set(n, text);
  }

  std::string range() const {
    constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
    if (v_.field->max == kNoLimit) return fmt::format("at least {}", bound(v_.field->min));
    return fmt::format("from {} to {}", bound(v_.field->min), bound(v_.field->max));
  }
  std::string bound(std::int64_t n) const {
    if (v_.type == Type::duration) return format_duration(Millis(n));
    if (v_.type == Type::size) return format_size(static_cast<std::uint64_t>(n));
    return std::to_string(n);
  }

  void plain(const std::string& text) {
    if (text.empty()) {
      problem("is empty", "write a value, or remove the line");
      return;
    }
    const bool control = std::any_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) < ' ' || c == 0x7F;
    });
    if (control) {
      problem("holds a line break or another control character", "write it on one line");
      return;
    }
    set(text, text);
  }

  void duration(const std::string& text) {
    if (contains(v_.field->choices, text)) {
      set(text, text);
      return;
    }
    const auto d = parse_duration(text);
    if (!d) {
      std::string fix = "write a number with a unit: 30s, 15m, 24h, 30d";
      if (!v_.field->choices.empty()) fix += ", or " + words(v_.field->choices);
      problem(fmt::format("must be a duration, not {}", shown(text)), std::move(fix));
      return;
    }
    const std::int64_t ms = d->count();  // milliseconds
    if (ms < v_.field->min || ms > v_.field->max) {
      problem(fmt::format("must be {}", range()), "choose a duration in that range");
      return;
    }
    set(*d, format_duration(*d));
  }

  void size(const std::string& text) {
    const auto n = parse_size(text);
    if (!n) {
      problem(fmt::format("must be a size, not {}", shown(text)),
              "write a number with a unit: 512B, 64KiB, 10MiB");
      return;
    }
    const auto bytes = static_cast<std::int64_t>(*n);
    if (bytes < v_.field->min || bytes > v_.field->max) {
      problem(fmt::format("must be {}", range()), "choose a size in that range");
      return;
    }
    set(bytes, format_size(*n));
  }

  void price(const std::string& text) {
    const auto p = parse_price(text);
    if (!p) {
      problem(amount_problem(text), amount_fix(text, "10 sat, 2500 msat, 0.001 btc or 0.05 usd"));
      return;
    }
    set(*p, format(*p));
  }
  void bitcoin(const std::string& text) {
    const auto m = parse_msat(text);
    if (!m) {
      problem(amount_problem(text), amount_fix(text, "10 sat, 2500 msat or 0.001 btc"));
      return;
    }
    set(Price{*m, std::nullopt}, format(*m));
  }
  void usd(const std::string& text) {
    const auto u = parse_usd(text);
    if (!u) {
      problem(amount_problem(text), "write digits and usd: 65000 usd");
      return;
    }
    set(Price{Msat{}, *u}, format(*u));
  }
  std::string amount_problem(const std::string& text) const {
    return fmt::format("must be an amount with its unit, not {}", shown(text));
  }
  static std::string amount_fix(const std::string& text, std::string_view forms) {
    const bool bare = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (bare) return fmt::format("write the unit too: {} sat", text);
    return fmt::format("write digits and a unit: {}", forms);
  }

  void cidr(const std::string& text) {
    const auto c = net::Cidr::parse(text);
    if (!c) {
      problem(fmt::format("must be an address or a network, not {}", shown(text)),
              "write 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32");
      return;
    }
    set(*c, c->str());
  }

  void endpoint(const std::string& text) {
    const auto e = net::Endpoint::parse(text);
    if (!e) {
      problem(fmt::format("must be an address and a port, not {}", shown(text)),
              "write 127.0.0.1:8402, 0.0.0.0:8402 or [::]:8402; names are not resolved here");
      return;
    }
    set(*e, e->str());
  }

  void url(const std::string& text) {
    // sqlite:///path has no host; everything else has.
    if (text.starts_with("sqlite:")) {
      sqlite(text);
      return;
    }
    if (v_.field->key == "store" && text.starts_with("postgres")) {
      postgres(text);
      return;
    }
    const auto u = parse_url(text);
    if (!u) {
      // Not quoted: what looks like a URL may hold a password.
      problem(std::string(u.error().message()), "write it as " + example_url());
      return;
    }
    if (!v_.field->choices.empty() && !contains(v_.field->choices, u->scheme)) {
      problem(fmt::format("must be a URL of {}, not of {}", words(v_.field->choices), u->scheme),
              "write it as " + example_url());
      return;
    }
    if (contains(v_.field->later_choices, u->scheme)) {
      problem(fmt::format("{}:// is not available in this version", u->scheme),
              fmt::format("leave `{}` out", v_.field->key));
      return;
    }
    if (u->scheme.starts_with("redis")) {
      if (const auto place = check_redis_url(*u); !place) {
        problem(std::string(place.error().message()),
                "write redis://user@host:6379/0, and the password as `shared_password: "
                "file:///path`");
        return;
      }
      set(*u, text);
      return;
    }
    set(*u, u->shown());
  }
  std::string example_url() const {
    if (v_.field->key == "store") return "sqlite:///var/lib/octroi/octroi.db";
    const std::string_view scheme = v_.field->choices.empty() ? "https" : v_.field->choices.front();
    return fmt::format("{}://host:port", scheme);
  }
  void sqlite(const std::string& text) {
    if (!contains(v_.field->choices, "sqlite")) {
      problem("sqlite:// has no place here", "write it as " + example_url());
      return;
    }
    constexpr std::string_view kScheme = "sqlite://";
    if (!text.starts_with(kScheme) || text.size() == kScheme.size() || text.ends_with('/')) {
      problem("must name a file",
              "write sqlite:///absolute/path.db, or sqlite://./relative/path.db");
      return;
    }
    Url u;
    u.scheme = "sqlite";
    u.path = text.substr(kScheme.size());
    set(std::move(u), text);
  }
  /// libpq reads the rest: several hosts, sockets, TLS. No value is quoted, it may be a password.
  void postgres(const std::string& text) {
    const auto checked = check_postgres_url(text);
    if (!checked) {
      problem(std::string(checked.error().message()),
              "write postgresql://user@host:5432/database?sslmode=verify-full, and the password as "
              "`store_password: file:///path`");
      return;
    }
    Url u;
    u.scheme = "postgresql";
    u.path = *checked;
    set(std::move(u), text);
  }

  void regex(const std::string& text) {
    RE2::Options options;
    options.set_log_errors(false);
    const RE2 re(text, options);
    if (!re.ok()) {
      // RE2's message ends with the part it complains about, which may be all of a secret text.
      const std::string& part = re.error_arg();
      const std::size_t at = part.empty() || part == text ? std::string::npos : text.find(part);
      std::string message = "is not a regular expression (RE2)";
      if (quote_) message += ": " + re.error();
      if (at != std::string::npos) message += fmt::format(", at character {}", at + 1);
      problem(std::move(message),
              "correct the expression; RE2 has no look-around and no back-references");
      return;
    }
    set(text, text);
  }

  void file_path(const std::string& text) {
    if (text.find('\0') != std::string::npos || text.empty()) {
      problem("must be a path", "write a file or directory name");
      return;
    }
    std::string full = text;
    if (text.starts_with("~/")) {
      const auto home = context_.options.env.find("HOME");
      if (home != context_.options.env.end() && !home->second.empty())
        full = home->second + text.substr(1);
    }
    set(full, text);
  }

  void timestamp(const std::string& text) {
    const bool day = text.size() == 10;
    const auto t = from_rfc3339(day ? text + "T00:00:00Z" : text);
    if (!t) {
      problem(fmt::format("must be a date or a time, not {}", shown(text)),
              "write 2026-11-01 or 2026-11-01T12:00:00Z");
      return;
    }
    set(*t, text);
  }

  void secret(const std::string& written) {
    if (written.empty()) {
      problem("is empty", "write a reference such as env://NAME or file:///path");
      return;
    }
    if (is_reference(written)) {
      v_.reference = written;
      return;
    }
    const std::size_t scheme = written.find("://");
    if (v_.type == Type::pem && written.find("-----BEGIN") == std::string::npos) {
      problem("is neither a reference nor PEM text", "write file:///path/to/file.pem");
      v_.text = "(not shown)";
      return;
    }
    if (scheme != std::string::npos && scheme < 16 &&
        written.find_first_of(" \n") == std::string::npos) {
      problem(fmt::format("{}:// is not a provider of secrets that octroi knows",
                          written.substr(0, scheme)),
              "use env://NAME, file:///path or cred://id");
      v_.text = "(not shown)";
      return;
    }
    v_.secret = std::make_shared<const Secret>(std::string_view(written));
    v_.written_secret = v_.type == Type::secret;
    v_.text = v_.type == Type::secret ? "(written in the file)" : "(PEM text)";
    if (v_.written_secret) redactor().add(*v_.secret);
  }

  /// Text with ${reference} in it: only the form is checked here; resolve_secrets puts it together.
  void embedded(const std::string& written) {
    if (written.empty()) {
      problem("is empty", "write a value, or remove the line");
      return;
    }
    set(written, written);
    if (is_reference(written)) {
      v_.reference = written;
      return;
    }
    for (std::size_t at = written.find("${"); at != std::string::npos;
         at = written.find("${", at)) {
      const std::size_t close = written.find('}', at);
      if (close == std::string::npos) {
        problem("has a ${ without a }", "close it: ${env://NAME}");
        return;
      }
      const std::string inner = written.substr(at + 2, close - at - 2);
      if (!is_reference(inner)) {
        problem("has a ${…} that is not a reference", "write ${env://NAME} or ${file:///path}");
        return;
      }
      v_.reference = inner;
      at = close;
    }
  }

  void set(Value::Data data, std::string text) {
    v_.data = std::move(data);
    v_.text = std::move(text);
  }

  Value& v_;
  const std::string& path_;
  Context& context_;
  bool quote_ = true;
};

}  // namespace

bool is_reference(std::string_view text) {
  if (text.starts_with("pkcs11:")) return text.size() > 7;
  return std::any_of(kProviders.begin(), kProviders.end(), [&](std::string_view p) {
    return text.starts_with(p) && text.size() > p.size();
  });
}

void parse_leaf(Value& value, const std::string& text, const std::string& path, Context& context) {
  LeafParser(value, path, context).run(text);
}

}  // namespace octroi::config
