// Secrets are fetched for the parts that run: not for a backend that is not chosen, nor for a door
// that this version does not have.

#include <filesystem>

#include <fmt/format.h>

#include "octroi/config/check.h"

namespace octroi::config {
namespace {

std::string join(const std::string& path, const Value& parent, std::size_t index) {
  const std::string& key = parent.children[index].key;
  // A list of one was most likely written as one value.
  const bool alone =
      parent.children.size() == 1 && parent.children[index].value.type != Type::section;
  if (key.empty()) return alone ? path : fmt::format("{}[{}]", path, index);
  return path.empty() ? key : path + "." + key;
}

class Resolver {
 public:
  explicit Resolver(Context& context) : context_(context) {}

  void walk(Value& value, const std::string& path) {
    if (value.field != nullptr && value.field->later) return;
    if (value.type == Type::section && value.field != nullptr && value.field->optional &&
        !value.given)
      return;
    if (value.children.empty()) {
      leaf(value, path);
      return;
    }
    const std::string backend = value.type == Type::section ? value.at("backend").str() : "";
    for (std::size_t i = 0; i < value.children.size(); ++i) {
      auto& [key, child] = value.children[i];
      if (!backend.empty() && child.type == Type::section && key != backend) continue;
      walk(child, join(path, value, i));
    }
  }

 private:
  void leaf(Value& value, const std::string& path) {
    if (!value.valid || value.text.empty()) return;
    if (value.type == Type::text && value.field->embedded) {
      header(value, path);
    } else if ((value.type == Type::secret || value.type == Type::pem) &&
               !value.reference.empty()) {
      whole(value, path);
    }
  }

  void whole(Value& value, const std::string& path) {
    if (path == "admin.auth.token" && is_new_file(value.reference))
      return;  // made on the first start
    const auto fetched = context_.fetch(value.reference);
    if (!fetched) {
      problem(value, path, fetched.error());
      return;
    }
    if ((*fetched)->empty()) {
      value.valid = false;
      context_.error(value, path, value.reference + " is empty",
                     "put the value where the reference points");
      return;
    }
    value.secret = *fetched;
    if (value.type == Type::pem &&
        value.secret->reveal_text().find("-----BEGIN") == std::string_view::npos) {
      value.valid = false;
      context_.error(value, path, value.reference + " holds no PEM text",
                     "refer to a file that begins with -----BEGIN");
    }
  }

  static bool is_new_file(const std::string& reference) {
    constexpr std::string_view kFile = "file://";
    if (!reference.starts_with(kFile)) return false;
    std::error_code ec;
    const bool there = std::filesystem::exists(reference.substr(kFile.size()), ec);
    return !there && !ec;
  }

  void header(Value& value, const std::string& path) {
    const std::string& written = value.text;
    std::string out;
    if (is_reference(written)) {
      if (!append(out, value, written, path)) return;
    } else {
      std::size_t at = 0;
      for (std::size_t open = written.find("${"); open != std::string::npos;
           open = written.find("${", at)) {
        out.append(written, at, open - at);
        const std::size_t close = written.find('}', open);
        if (!append(out, value, written.substr(open + 2, close - open - 2), path)) return;
        at = close + 1;
      }
      out.append(written, at);
    }
    if (out.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      value.valid = false;
      context_.error(value, path, "holds a line break once its reference is replaced",
                     "a header is one line; correct what the reference points to");
    }
    value.secret = std::make_shared<const Secret>(Secret::take(std::move(out)));
  }

  bool append(std::string& out, Value& value, const std::string& reference,
              const std::string& path) {
    const auto fetched = context_.fetch(reference);
    if (!fetched) {
      problem(value, path, fetched.error());
      return false;
    }
    out += (*fetched)->reveal_text();
    return true;
  }

  void problem(Value& value, const std::string& path, const Error& error) {
    value.valid = false;
    std::string fix = "make the reference point to a value that can be read";
    if (error.kind() == ErrorKind::not_found && value.reference.starts_with("env://")) {
      fix = fmt::format("set the environment variable {}", value.reference.substr(6));
    } else if (error.kind() == ErrorKind::not_found && value.reference.starts_with("file://")) {
      fix = "create the file, or correct its path";
    } else if (error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout) {
      fix = "see that its source can be reached from here, and try again";
    }
    context_.error(value, path, std::string(error.message()), std::move(fix));
  }

  Context& context_;
};

}  // namespace

void resolve_secrets(Value& root, Context& context) {
  if (context.options.resolve) Resolver(context).walk(root, "");
}

}  // namespace octroi::config
