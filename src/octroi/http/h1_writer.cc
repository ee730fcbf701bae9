#include "octroi/http/h1_writer.h"

#include <array>

#include "octroi/http/char_class.h"
#include "octroi/http/h1_parser.h"

namespace octroi::http::h1 {

namespace {

/// What is_connection_field() knows.
constexpr std::array<std::string_view, 7> kConnectionFields = {
    "host",           "upgrade",          "connection",       "keep-alive",
    "content-length", "proxy-connection", "transfer-encoding"};
constexpr Headers::NameSet kMayBeConnectionField(kConnectionFields);

void write_fields(OutBuffer& out, const Headers& headers, ConnectionOption option) {
  headers.visit(kMayBeConnectionField, [&](Field f, bool special) {
    if (special && is_connection_field(f.name) &&
        !(option == ConnectionOption::upgrade && equals_lower(f.name, "upgrade"))) {
      return;
    }
    out.append_field(f.name, f.value);
  });
}

void write_framing(OutBuffer& out, BodyPlan plan, ConnectionOption option) {
  if (plan.length) {
    out.append("Content-Length: ");
    out.append_number(*plan.length);
    out.append("\r\n");
  } else if (plan.chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  switch (option) {
    case ConnectionOption::none:
      break;
    case ConnectionOption::close:
      out.append("Connection: close\r\n");
      break;
    case ConnectionOption::keep_alive:
      out.append("Connection: keep-alive\r\n");
      break;
    case ConnectionOption::upgrade:
      out.append("Connection: upgrade\r\n");
      break;
  }
}

}  // namespace

void write_response_head(OutBuffer& out, const ResponseHead& head, BodyPlan plan,
                         ConnectionOption option, std::string_view date) {
  out.append("HTTP/1.1 ");
  out.append_number(static_cast<std::uint64_t>(head.status));
  out.append(" ");
  out.append(reason_phrase(head.status));
  out.append("\r\n");
  if (!date.empty() && !head.headers.has("date")) out.append_field("Date", date);
  write_fields(out, head.headers, option);
  write_framing(out, plan, option);
  out.append("\r\n");
}

void write_request_head(OutBuffer& out, const RequestHead& head, std::string_view host,
                        BodyPlan plan, ConnectionOption option) {
  out.append(head.method);
  out.append(" ");
  out.append(head.target);
  out.append(" HTTP/1.1\r\n");
  out.append_field("Host", host);
  write_fields(out, head.headers, option);
  write_framing(out, plan, option);
  out.append("\r\n");
}

void write_chunk_size(OutBuffer& out, std::size_t size) {
  out.append_number(size, 16);
  out.append("\r\n");
}

void write_last_chunk(OutBuffer& out, const Headers& trailers) {
  out.append("0\r\n");
  for (const Field f : trailers) {
    if (!is_forbidden_trailer(f.name)) out.append_field(f.name, f.value);
  }
  out.append("\r\n");
}

}  // namespace octroi::http::h1
