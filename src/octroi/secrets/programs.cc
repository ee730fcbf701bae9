#include "octroi/secrets/programs.h"

#include <charconv>

namespace octroi::secrets {
namespace {

/// "%20" is a space, "%25" a percent sign.
std::optional<std::string> decoded(std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      out += word[i];
      continue;
    }
    if (i + 2 >= word.size()) return std::nullopt;
    unsigned value = 0;
    const char* const begin = word.data() + i + 1;
    const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
    if (error != std::errc{} || end != begin + 2 || value == 0) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> exec_words(std::string_view locator) {
  std::vector<std::string> out;
  while (!locator.empty()) {
    const std::size_t space = locator.find(' ');
    const std::string_view word = locator.substr(0, space);
    locator.remove_prefix(space == std::string_view::npos ? locator.size() : space + 1);
    if (word.empty()) continue;
    auto text = decoded(word);
    if (!text) {
      return fail(Errc::bad_reference,
                  "exec:// reference has a % without two hexadecimal digits: write %25 for it");
    }
    out.push_back(*std::move(text));
  }
  return out;
}

Result<Fetched> ExecProvider::fetch(const Reference& reference) {
  OCTROI_TRY(std::vector<std::string> words, exec_words(reference.locator));
  Program program;
  program.path = words.front();
  program.arguments.assign(words.begin() + 1, words.end());
  program.environment = environment_;
  program.timeout = timeout_;
  auto value = output_of(program);
  if (!value) return fail(std::move(value).error().within("exec://"));
  return Fetched{*std::move(value), {}, {}};
}

Result<Fetched> OnePasswordProvider::fetch(const Reference& reference) {
  Program program;
  program.path = find_program("op", environment_);
  if (program.path.empty()) {
    return fail(Errc::not_set, reference.text +
                                   ": there is no program op on PATH: install 1Password's, or name "
                                   "another source");
  }
  program.arguments = {"read", "--no-newline", reference.text};
  program.environment = environment_;
  program.timeout = timeout_;
  auto value = output_of(program);
  if (!value) return fail(std::move(value).error().within(reference.text));
  return Fetched{*std::move(value), {}, {}};
}

}  // namespace octroi::secrets
