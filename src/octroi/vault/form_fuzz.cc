// Whatever is read as a path or a form is read the same when it is read again, and has no second
// reading: no name twice, no name that is a value and a container.
#include <cstdlib>
#include <map>

#include "octroi/vault/form.h"

namespace {

void require(bool yes) {
  if (!yes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using octroi::vault::Form;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto path = octroi::vault::canonical_path(text)) {
    const auto again = octroi::vault::canonical_path(*path);
    require(again && *again == *path);
    require(path->find("//") == std::string::npos && path->find("/../") == std::string::npos);
    require(path->find(';') == std::string::npos && path->find('\\') == std::string::npos);
  }
  if (const auto form = Form::parse(text)) {
    const auto again = Form::parse(form->text());
    require(again && again->fields() == form->fields());
    std::map<std::string, int> seen;
    for (const auto& [name, value] : form->fields()) {
      require(++seen[name] == 1 || name.ends_with("[]"));
      require(!name.empty());
    }
    // A value that is given is the only one of its name, and nothing stands below it.
    for (const auto& [name, value] : form->fields()) {
      if (seen[name] > 1) continue;
      const auto one = form->value(name);
      require(one && *one == value);
    }
  }
  return 0;
}
