#include "octroi/paywall/answers.h"

#include <algorithm>
#include <array>

#include "octroi/base/percent.h"
#include "octroi/json/writer.h"

namespace octroi::paywall {

Complaint complaint(const mpp::Problem& problem, int status) {
  return {status, problem.detail, mpp::problem_uri(problem.type),
          std::string(mpp::problem_info(problem.type).title)};
}

std::string to_json(const Complaint& c) {
  json::Writer w;
  w.begin_object()
      .field("type", c.type)
      .field("title", c.title.empty() ? std::string(http::reason_phrase(c.status)) : c.title)
      .field("status", c.status)
      .field("detail", c.detail)
      .end_object();
  return std::move(w).take();
}

std::string retry_after_seconds(Millis wait) {
  return fmt::format("{}", std::max<std::int64_t>(1, (wait.count() + 999) / 1000));
}

void make_private(http::Headers& headers) {
  if (headers.has_token("Cache-Control", "no-store")) return;
  if (headers.has_token("Cache-Control", "private") &&
      !headers.has_token("Cache-Control", "public"))
    return;
  std::string value;
  for (auto line : headers.all("Cache-Control")) {
    while (!line.empty()) {
      const auto comma = line.find(',');
      auto item = line.substr(0, comma);
      line = comma == std::string_view::npos ? std::string_view{} : line.substr(comma + 1);
      while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
      while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
      if (item.empty() || http::equal_ignoring_case(item, "public") ||
          http::equal_ignoring_case(item, "private"))
        continue;
      value += std::string(item) + ", ";
    }
  }
  headers.set("Cache-Control", value + "private");
}

bool is_kept_field(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kKept = {
      "Content-Type",     "Content-Encoding",
      "Content-Language", "ETag",
      "Last-Modified",    "Location",
      "Cache-Control",    "grpc-status",
      "grpc-message",     "grpc-status-details-bin",
      "grpc-encoding"};
  return std::any_of(kKept.begin(), kKept.end(),
                     [name](auto k) { return http::equal_ignoring_case(k, name); });
}

namespace {

/// Whether the raw path can only be read as the judged one: nothing encoded, no dot or empty
/// segment.
bool plain(std::string_view raw, std::string_view judged) { return raw == judged; }

/// Encodes what may not stand in a path; the judged path is decoded text.
std::string encode_path(std::string_view path) {
  static constexpr std::string_view kSafe = "!$&'()*+,;=:@/";
  return percent_encoded(
      path, [](char c) { return is_unreserved(c) || kSafe.find(c) != std::string_view::npos; });
}

/// Whether decoding alone made the difference: then the client's spelling is kept, because
/// upstreams may care how a character was encoded.
bool same_segments(std::string_view raw, std::string_view judged) {
  return raw.find("//") == std::string_view::npos && raw.find("/.") == std::string_view::npos &&
         raw.find("%2e") == std::string_view::npos && raw.find("%2E") == std::string_view::npos &&
         std::count(raw.begin(), raw.end(), '/') == std::count(judged.begin(), judged.end(), '/');
}

}  // namespace

std::string upstream_target(const ServiceSettings& service, std::string_view raw_target,
                            std::string_view judged_path) {
  const auto question = raw_target.find('?');
  const std::string_view raw_path = raw_target.substr(0, question);
  const std::string_view query =
      question == std::string_view::npos ? std::string_view{} : raw_target.substr(question);
  std::string path = plain(raw_path, judged_path) || same_segments(raw_path, judged_path)
                         ? std::string(raw_path)
                         : encode_path(judged_path);
  if (service.rewrite_strip && judged_path.starts_with(*service.rewrite_strip)) {
    // What is stripped was judged decoded: a spelling that hides it is replaced by the plain one.
    if (path.starts_with(*service.rewrite_strip)) {
      path.erase(0, service.rewrite_strip->size());
    } else {
      path = encode_path(judged_path.substr(service.rewrite_strip->size()));
    }
    if (path.empty() || path.front() != '/') path.insert(path.begin(), '/');
  }
  if (service.rewrite_prefix) path.insert(0, *service.rewrite_prefix);
  path.insert(0, service.upstream.base_path);
  path += query;
  return path;
}

}  // namespace octroi::paywall
