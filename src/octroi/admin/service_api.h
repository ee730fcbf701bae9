// octroi/admin/service_api.h: services on the admin listener: list, show, create, replace, remove.
//
//   GET    /api/v1/services          of the file and of the store, in the order of matching
//   POST   /api/v1/services          creates one; 409 when the name is taken
//   GET    /api/v1/services/{name}   with its document and, of a stored one, an ETag
//   PUT    /api/v1/services/{name}   replaces one: If-Match names the version that was read (or *
//                                    for any); If-None-Match: * creates one
//   DELETE /api/v1/services/{name}   If-Match as above, but it may be left out
//
// A body is {"enabled": true, "service": {…}}: the keys of paywall.services[] in the configuration.
// What GET shows beside them (name, version, …) may stay in it and means nothing.
// Errors  412 another version is there, 428 a PUT without a condition, 409 the file has that name,
//         422 with `errors`, each naming the field and what to write instead.
// Thread  the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "octroi/base/clock.h"
#include "octroi/http/server.h"

namespace octroi::admin {

inline constexpr std::string_view kServices = "/api/v1/services";

struct ServiceEntry {
  std::string name;
  bool from_file = false;
  std::string state;         // "served", "disabled", or "shadowed": the file has that name
  std::string document;      // JSON; empty in lists
  std::string auth_scheme;   // of a stored one
  bool enabled = true;       // of a stored one
  std::int64_t version = 0;  // of a stored one
  UnixMillis created{}, updated{};
};

/// What a change rests on.
struct ServiceCondition {
  enum class Kind : std::uint8_t { none, absent, present, version };
  Kind kind = Kind::none;
  std::int64_t version = 0;
};

struct ServiceChange {
  std::string name;      // empty: the one in the document
  std::string document;  // JSON; empty: removes it
  bool enabled = true;
  ServiceCondition condition;
};

/// What is wrong with a service, by its field.
struct ServiceProblem {
  std::string field;  // "prices[0].price"; empty: the service as a whole
  std::string message;
  std::string fix;
};
struct ServiceRefusal {
  int status = 503;
  std::string detail;
  std::vector<ServiceProblem> errors;
};

template <class T>
using ServiceAnswer = tl::expected<T, ServiceRefusal>;

/// What an operator may do. Empty: this store keeps no services.
struct ServiceActions {
  std::function<Task<ServiceAnswer<std::vector<ServiceEntry>>>()> list;
  std::function<Task<ServiceAnswer<ServiceEntry>>(std::string name)> show;
  /// Every worker serves by it when this returns. Of a removal: what was removed.
  std::function<Task<ServiceAnswer<ServiceEntry>>(ServiceChange)> change;
};

/// {"services": […]} without documents; one service with its document.
[[nodiscard]] std::string services_json(const std::vector<ServiceEntry>& services);
[[nodiscard]] std::string service_json(const ServiceEntry& service);
/// The body of a POST or PUT, or what is wrong with it.
[[nodiscard]] tl::expected<ServiceChange, std::string> read_service_body(std::string_view body);

class ServiceApi {
 public:
  explicit ServiceApi(const ServiceActions& actions) : actions_(actions) {}
  /// A request whose path is kServices or below it.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<void> list(http::Exchange& exchange);
  Task<void> show(http::Exchange& exchange, std::string name);
  Task<void> put(http::Exchange& exchange, std::string name);
  Task<void> remove(http::Exchange& exchange, std::string name);
  Task<void> change(http::Exchange& exchange, ServiceChange change);

  const ServiceActions& actions_;
};

}  // namespace octroi::admin
