// octroi/vault/form.h: request targets and urlencoded forms, read in the one way that leaves no
// second reading, and written anew from what was read: what was judged is what is sent.
//
// Refused  whatever two readers could take differently: a name twice, a name that is a value and a
//          container at once ("amount" beside "amount[]"), names outside the grammar
//          `word([key])*`, bytes that are no UTF-8 or controls; in paths an encoded separator,
//          empty or dot segments, a backslash, a parameter (";").
// Errors   Errc::ambiguous, with a message that names the field.
// Source   WHATWG URL standard, application/x-www-form-urlencoded; RFC 3986 section 3.3.
// Thread   pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/vault/errors.h"

namespace octroi::vault {

/// A path with every escape that needs none undone, and the others written in capitals.
[[nodiscard]] Result<std::string> canonical_path(std::string_view path);

class Form {
 public:
  struct Rules {
    std::size_t max_fields = 512;
    /// Names that may come more than once, in order ("MediaUrl").
    std::span<const std::string_view> repeatable = {};
    /// Names are any UTF-8 without controls (queries of vendors that we know nothing about).
    bool free_names = false;
  };
  Form() = default;
  [[nodiscard]] static Result<Form> parse(std::string_view text, const Rules& rules);
  [[nodiscard]] static Result<Form> parse(std::string_view text) { return parse(text, Rules{}); }

  /// The value of exactly this name. Errc::ambiguous when something below it is set ("amount[0]").
  [[nodiscard]] Result<std::optional<std::string_view>> value(std::string_view name) const;
  /// All values of a repeatable name, or of `name[]` and `name[0]`, `name[1]`, ….
  [[nodiscard]] std::vector<std::string_view> values(std::string_view name) const;
  /// Whether the name, or anything below it, is set.
  [[nodiscard]] bool mentions(std::string_view name) const;
  [[nodiscard]] bool empty() const { return fields_.empty(); }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const {
    return fields_;
  }
  /// In the order in which it came.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace octroi::vault
