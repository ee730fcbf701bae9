// octroi/config/stored.h: services that stand in the store, as a part of the configuration.
//
// A stored service is the section of a service as JSON: an object with the keys of
// paywall.services[], read by the same code as the file and held to the same rules. It stands
// behind the file's services, in the order given.
//
//   Precedence   a name in the file wins: the stored service of that name is left out and listed in
//                Loaded::shadowed. Environment variables change the file's services only.
//   Stricter     what is a warning in a file is an error here: a service that can never be reached,
//                because one before it takes all its requests. A secret that is written out is
//                refused, and so is a reference that `paywall.store_references` does not allow:
//                whoever may add services must not be able to have any file of this machine sent to
//                an upstream.
//
// Thread: pure.   Errors: problems, whose path names the field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "octroi/config/problem.h"
#include "octroi/config/value.h"
#include "octroi/config/yaml.h"

namespace octroi::config {

struct Context;

struct StoredService {
  std::string name;
  std::string document;  // JSON
};

/// A stored service is at most this large.
inline constexpr std::size_t kMaxStoredBytes = std::size_t{64} << 10;

/// Where a value of a stored service came from: "service weather in the store".
[[nodiscard]] std::string stored_origin(std::string_view name);
[[nodiscard]] bool from_store(const Value& value);

/// Appends the stored services to the tree of the file. The names that are left out, because the
/// file has them.
[[nodiscard]] std::vector<std::string> merge_stored(Node& root,
                                                    const std::vector<StoredService>& stored,
                                                    Context& context);

/// A section of a file as JSON: what would be stored. Scalars become strings.
[[nodiscard]] std::string to_json(const Node& node);
/// JSON or YAML text of one service, as JSON.
[[nodiscard]] tl::expected<std::string, Problems> service_to_json(std::string_view text,
                                                                  std::string_view file);

/// The document with some keys changed: `set` are "key=value" ("session.unit=token"; a value that
/// begins with [ or { is a list or mapping), `unset` keys. The error says which and why.
[[nodiscard]] tl::expected<std::string, std::string> edit_service(
    std::string_view document, const std::vector<std::string>& set,
    const std::vector<std::string>& unset);

}  // namespace octroi::config
