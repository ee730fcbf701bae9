// What was judged is what a vendor reads: a form that we accept, as it is sent on, means the same
// to readers that share nothing with ours: one that takes the first of a name, one that takes the
// last, and one that builds nested containers as Ruby's servers do (Stripe's, and the mocks').
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/vault/form.h"

namespace {

void require(bool yes) {
  if (!yes) std::abort();
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
               digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Splits at "&" and at ";", as servers of both schools do.
std::vector<std::pair<std::string, std::string>> pairs(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("&;"), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    const std::size_t equals = std::min(one.find('='), one.size());
    out.emplace_back(decoded(one.substr(0, equals)),
                     decoded(one.substr(std::min(equals + 1, one.size()))));
  }
  return out;
}

/// "a[b][c]" as its steps.
std::vector<std::string> steps(std::string_view name) {
  std::vector<std::string> out;
  const std::size_t open = std::min(name.find('['), name.size());
  out.emplace_back(name.substr(0, open));
  name.remove_prefix(open);
  while (name.starts_with('[')) {
    const std::size_t close = name.find(']');
    if (close == std::string_view::npos) break;
    out.emplace_back(name.substr(1, close - 1));
    name.remove_prefix(close + 1);
  }
  return out;
}

struct Node {
  std::optional<std::string> value;
  std::map<std::string, std::unique_ptr<Node>> below;
  std::size_t pushed = 0;  // of "[]"
};

/// The later of two meanings wins, whether value or container.
std::unique_ptr<Node> nested(std::string_view text) {
  auto root = std::make_unique<Node>();
  for (auto& [name, value] : pairs(text)) {
    Node* at = root.get();
    for (std::string step : steps(name)) {
      at->value.reset();
      if (step.empty() && at != root.get()) step = std::to_string(at->pushed++);
      std::unique_ptr<Node>& next = at->below[step];
      if (next == nullptr) next = std::make_unique<Node>();
      at = next.get();
    }
    at->below.clear();
    at->value = std::move(value);
  }
  return root;
}

std::optional<std::string> nested_value(const Node& root, std::string_view name) {
  const Node* at = &root;
  for (const std::string& step : steps(name)) {
    const auto found = at->below.find(step);
    if (found == at->below.end()) return std::nullopt;
    at = found->second.get();
  }
  return at->value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using octroi::vault::Form;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto form = Form::parse(input);
  if (!form) return 0;
  const std::string sent = form->text();
  const auto flat = pairs(sent);
  require(flat == form->fields());
  const auto tree = nested(sent);
  std::vector<std::string> names = {"amount", "currency", "customer", "transfer_data[destination]",
                                    "metadata[agent_run_id]"};
  for (const auto& [name, value] : form->fields()) names.push_back(name);
  for (const std::string& name : names) {
    const auto ours = form->value(name);
    if (!ours || name.find("[]") != std::string::npos) continue;  // refused, or in a list
    std::optional<std::string> first;
    std::optional<std::string> last;
    for (const auto& [n, v] : flat) {
      if (n != name) continue;
      if (!first) first = v;
      last = v;
    }
    const std::optional<std::string> own =
        *ours ? std::optional<std::string>(std::string(**ours)) : std::nullopt;
    require(first == own && last == own);
    require(nested_value(*tree, name) == own);
  }
  return 0;
}
