#include "octroi/cli/completion.h"

#include <set>

#include <fmt/format.h>

namespace octroi::cli {
namespace {

/// Every command and group, "" for the program itself.
std::set<std::string> places(const CommandLine& line) {
  std::set<std::string> out{""};
  for (const std::string& name : line.names()) {
    for (std::size_t blank = name.find(' '); blank != std::string::npos;
         blank = name.find(' ', blank + 1)) {
      out.insert(name.substr(0, blank));
    }
    out.insert(name);
  }
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

/// A function body that sets `words` for the commands typed so far in `path`.
std::string cases(const CommandLine& line) {
  std::string out;
  for (const std::string& place : places(line)) {
    out += fmt::format("    \"{}\") words=\"{}\" ;;\n", place, joined(line.words_after(place)));
  }
  return out;
}

std::string bash(const CommandLine& line) {
  return fmt::format(R"(# bash completion of octroi; source <(octroi completion bash)
_octroi_words() {{
  case "$1" in
{}  esac
}}
_octroi() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" path="" words="" known="" i w
  for ((i = 1; i < COMP_CWORD; i++)); do
    w="${{COMP_WORDS[i]}}"
    [[ "$w" == -- ]] && return 0
    [[ "$w" == -* ]] && continue
    known="$words"
    _octroi_words "${{path:+$path }}$w"
    [[ "$words" != "$known" ]] && path="${{path:+$path }}$w"
  done
  words=""
  _octroi_words "$path"
  if [[ "${{COMP_WORDS[COMP_CWORD-1]}}" == --config ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}}
complete -o default -F _octroi octroi
)",
                     cases(line));
}

std::string zsh(const CommandLine& line) {
  return "#compdef octroi\n# zsh completion of octroi; source <(octroi completion zsh)\nautoload "
         "-U +X bashcompinit && bashcompinit\n" +
         bash(line);
}

std::string fish(const CommandLine& line) {
  std::string out = "# fish completion of octroi\ncomplete -c octroi -f\n";
  for (const std::string& place : places(line)) {
    std::string condition = "__fish_use_subcommand";
    if (!place.empty()) {
      condition = "";
      std::string rest = place;
      while (!rest.empty()) {
        const std::size_t blank = rest.find(' ');
        condition += (condition.empty() ? "" : "; and ") +
                     fmt::format("__fish_seen_subcommand_from {}", rest.substr(0, blank));
        rest = blank == std::string::npos ? "" : rest.substr(blank + 1);
      }
    }
    for (const std::string& word : line.words_after(place)) {
      if (word.starts_with("--")) {
        out += fmt::format("complete -c octroi -n \"{}\" -l {}\n", condition, word.substr(2));
      } else {
        out += fmt::format("complete -c octroi -n \"{}\" -a {}\n", condition, word);
      }
    }
  }
  return out + "complete -c octroi -l config -r -F\n";
}

}  // namespace

std::string completion_script(const CommandLine& line, std::string_view shell) {
  if (shell == "fish") return fish(line);
  if (shell == "zsh") return zsh(line);
  return bash(line);
}

}  // namespace octroi::cli
