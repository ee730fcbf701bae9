// Feeds one message to our parser in pieces and to two others whole (llhttp, Boost.Beast). What we
// accept, they must read in the same way: same method, target, fields, body and the same last byte.
// They may accept more than we do; where they refuse what we accept stands a reason below.
#include <cstdlib>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <llhttp.h>

#include "octroi/http/char_class.h"
#include "octroi/http/h1_body.h"
#include "octroi/http/h1_writer.h"

namespace octroi::http::h1 {
namespace {

#define REQUIRE(condition)     \
  do {                         \
    if (!(condition)) abort(); \
  } while (false)

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Reading {
  bool complete = false;
  std::size_t size = 0;  // of the whole message
  std::string method;
  std::string target;
  int status = 0;
  bool upgrade = false;  // a protocol switch may follow the head
  Fields fields;
  Framing framing;
  std::string body;
  Fields trailers;
};

/// Ours, given `step` bytes at a time.
Reading read_ours(std::string_view bytes, bool request, std::size_t step) {
  Reading out;
  HeadParser parser(request ? HeadParser::Kind::request : HeadParser::Kind::response, {});
  BodyReader body({16 * 1024, 100, 0});
  ReadBuffer buffer;
  std::size_t fed = 0;
  bool in_body = false;
  for (;;) {
    if (!in_body) {
      const Step s = parser.parse(buffer.text());
      if (s == Step::fault) {
        REQUIRE(parser.fault() != Fault::none);
        return out;
      }
      if (s == Step::done) {
        out.method = parser.method();
        out.target = parser.target();
        out.status = parser.status();
        out.upgrade = parser.signals().upgrade && parser.signals().has_upgrade_field;
        for (std::size_t i = 0; i < parser.field_count(); ++i) {
          const Field f = parser.field(i);
          REQUIRE(is_token(f.name) && is_field_value(f.value));
          out.fields.emplace_back(f.name, f.value);
        }
        Headers copy;
        parser.copy_fields(copy);
        REQUIRE(copy.size() + (copy.size() < out.fields.size() ? 1 : 0) == out.fields.size());
        out.framing = request ? parser.request_framing() : parser.response_framing("GET");
        buffer.consume(parser.size());
        body.begin(out.framing);
        in_body = true;
      }
    }
    if (in_body) {
      const BodyReader::Pull pull = body.pull(buffer);
      if (pull.what == BodyReader::Pull::What::data) {
        REQUIRE(!pull.data.empty());
        out.body.append(as_text(pull.data));
        continue;
      }
      if (pull.what == BodyReader::Pull::What::fault) return out;
      if (pull.what == BodyReader::Pull::What::end) break;
    }
    if (fed == bytes.size()) {
      if (!in_body || out.framing.kind != BodyKind::until_close) return out;
      REQUIRE(body.end_of_stream());
      break;
    }
    const auto room = buffer.room();
    REQUIRE(!room.empty());
    const std::size_t n = std::min({step, bytes.size() - fed, room.size()});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(fed), n, room.begin());
    buffer.filled(n);
    fed += n;
  }
  out.complete = true;
  out.size = fed - buffer.size();
  for (const Field f : body.trailers()) {
    REQUIRE(!is_forbidden_trailer(f.name));
    out.trailers.emplace_back(f.name, f.value);
  }
  return out;
}

// ---- llhttp
// ----------------------------------------------------------------------------------------

struct LlReading {
  std::string url;
  Fields fields;
  std::string body;
  bool headers_done = false;
  bool complete = false;
  bool in_value = false;
};

int ll_append(std::string& to, const char* at, std::size_t n) {
  to.append(at, n);
  return 0;
}
LlReading& of(llhttp_t* p) { return *static_cast<LlReading*>(p->data); }

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  return text;
}

struct LlOutcome {
  llhttp_errno_t error;
  std::size_t size = 0;
  LlReading reading;
  std::string method;
  int status = 0;
};

LlOutcome read_llhttp(std::string_view bytes, bool request) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_url = [](llhttp_t* p, const char* at, std::size_t n) {
    return ll_append(of(p).url, at, n);
  };
  settings.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
    LlReading& r = of(p);
    if (r.in_value || r.fields.empty()) r.fields.emplace_back();
    r.in_value = false;
    return ll_append(r.fields.back().first, at, n);
  };
  settings.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
    of(p).in_value = true;
    return ll_append(of(p).fields.back().second, at, n);
  };
  settings.on_header_value_complete = [](llhttp_t* p) {
    of(p).in_value = true;  // also of an empty value
    return 0;
  };
  settings.on_headers_complete = [](llhttp_t* p) {
    of(p).headers_done = true;
    // RFC 9112 section 6.3: no body whatever the fields say; llhttp leaves that to its user.
    const int status = llhttp_get_status_code(p);
    const bool bodiless =
        p->type == HTTP_RESPONSE && (status < 200 || status == 204 || status == 304);
    return bodiless ? 1 : 0;
  };
  settings.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
    return ll_append(of(p).body, at, n);
  };
  settings.on_message_complete = [](llhttp_t* p) {
    of(p).complete = true;
    return static_cast<int>(HPE_PAUSED);
  };
  llhttp_t parser;
  llhttp_init(&parser, request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
  LlOutcome out;
  parser.data = &out.reading;
  out.error = llhttp_execute(&parser, bytes.data(), bytes.size());
  out.size = bytes.size();
  if (out.error != HPE_OK) {
    const char* const stopped = llhttp_get_error_pos(&parser);
    if (stopped != nullptr) out.size = static_cast<std::size_t>(stopped - bytes.data());
  } else if (!request && !out.reading.complete) {
    llhttp_finish(&parser);
  }
  if (out.reading.headers_done && request) {
    out.method = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(&parser)));
  }
  out.status = llhttp_get_status_code(&parser);
  return out;
}

bool same_fields(const Fields& ours, const Fields& theirs) {
  if (theirs.size() < ours.size()) return false;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (!equal_ignoring_case(ours[i].first, theirs[i].first)) return false;
    if (ours[i].second != trimmed(theirs[i].second)) return false;
  }
  return true;
}

/// Whether the line of the length ends in blanks with a tab among them.
bool tab_after_length(std::string_view bytes) {
  std::string_view head = bytes.substr(0, bytes.find("\r\n\r\n"));
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    if (!equal_ignoring_case(line.substr(0, line.find(':')), "content-length")) continue;
    return line.find('\t', line.find_last_of("0123456789")) != std::string_view::npos;
  }
  return false;
}

void compare_llhttp(const Reading& ours, std::string_view bytes, bool request) {
  const LlOutcome theirs = read_llhttp(bytes, request);
  // It knows a list of methods, some of which (RTSP's) want another protocol's version, and a
  // narrower set of characters in a target.
  if (theirs.error == HPE_INVALID_METHOD || theirs.error == HPE_INVALID_VERSION ||
      theirs.error == HPE_INVALID_CONSTANT || theirs.error == HPE_INVALID_URL) {
    return;
  }
  // RFC 9110 section 5.6.3 lets spaces and tabs end a field line; after a length llhttp knows
  // spaces.
  if (theirs.error == HPE_INVALID_CONTENT_LENGTH && tab_after_length(bytes)) return;
  // llhttp 8.1 takes what follows an extension's value and a semicolon for a chunk size.
  if (theirs.error == HPE_INVALID_CHUNK_SIZE && ours.framing.kind == BodyKind::chunked) {
    const std::string_view after = bytes.substr(bytes.find("\r\n\r\n"));
    const std::size_t value = after.find('=');
    if (value != std::string_view::npos && after.find(';', value) != std::string_view::npos) return;
  }
  REQUIRE(theirs.reading.headers_done);
  if (request) {
    REQUIRE(theirs.method == ours.method);
    REQUIRE(theirs.reading.url.ends_with(ours.target));
  } else {
    REQUIRE(theirs.status == ours.status);
  }
  REQUIRE(same_fields(ours.fields, theirs.reading.fields));
  // It stops at the head where another protocol may follow, and for interim answers.
  if (ours.upgrade || ours.status == 101 || theirs.error == HPE_PAUSED_UPGRADE) return;
  REQUIRE(theirs.reading.complete);
  REQUIRE(theirs.reading.body == ours.body);
  if (ours.framing.kind != BodyKind::until_close) REQUIRE(theirs.size == ours.size);
}

// ---- Beast
// -----------------------------------------------------------------------------------------

namespace beast = boost::beast::http;

template <bool kRequest>
void compare_beast(const Reading& ours, std::string_view bytes) {
  // It does not forgive an empty line before a request.
  std::string_view input = bytes;
  std::size_t skipped = 0;
  if (kRequest && input.starts_with("\r\n")) {
    input.remove_prefix(2);
    skipped = 2;
  }
  beast::parser<kRequest, beast::string_body> parser;
  parser.eager(true);
  parser.header_limit(1 << 20);
  parser.body_limit(1ULL << 60);
  boost::system::error_code error;
  std::size_t used = 0;
  while (!parser.is_done() && used < input.size()) {
    const std::size_t n =
        parser.put(boost::asio::buffer(input.data() + used, input.size() - used), error);
    used += n;
    if (error || n == 0) break;
  }
  if (!error && !parser.is_done()) parser.put_eof(error);
  // It checks that Connection and Proxy-Connection are lists of tokens, which decides nothing here.
  if (error == beast::error::bad_value) return;
  // It takes no reason phrase for a missing space.
  if (!kRequest && (error == beast::error::bad_reason || error == beast::error::bad_status)) return;
  REQUIRE(!error);
  REQUIRE(parser.is_header_done());
  const auto& message = parser.get();
  if constexpr (kRequest) {
    REQUIRE(std::string_view(message.method_string().data(), message.method_string().size()) ==
            ours.method);
    REQUIRE(
        std::string_view(message.target().data(), message.target().size()).ends_with(ours.target));
  } else {
    REQUIRE(static_cast<int>(message.result_int()) == ours.status);
  }
  Fields theirs;
  for (const auto& f : message) {
    theirs.emplace_back(std::string(f.name_string().data(), f.name_string().size()),
                        std::string(f.value().data(), f.value().size()));
  }
  // It groups fields of one name, so only their multiset can be compared.
  Fields expected = ours.fields;
  auto lower_names = [](Fields& fields) {
    for (auto& [name, value] : fields) {
      for (char& c : name) c = lower(c);
      value = trimmed(value);
    }
    std::ranges::sort(fields);
  };
  lower_names(expected);
  lower_names(theirs);
  REQUIRE(std::ranges::includes(theirs, expected));
  REQUIRE(parser.is_done());
  REQUIRE(message.body() == ours.body);
  if (ours.framing.kind != BodyKind::until_close) REQUIRE(used + skipped == ours.size);
}

// ---- what we write, we read
// ------------------------------------------------------------------------

void round_trip(const Reading& ours, bool request) {
  OutBuffer out;
  BodyPlan plan;
  if (ours.framing.kind == BodyKind::length || (!request && ours.framing.kind == BodyKind::none)) {
    plan.length = ours.framing.length;
  }
  plan.chunked = ours.framing.kind == BodyKind::chunked;
  Headers fields;
  for (const auto& [name, value] : ours.fields) REQUIRE(fields.add(name, value));
  if (request) {
    RequestHead head;
    head.method = ours.method;
    head.target =
        ours.target.starts_with('/') || ours.target == "*" ? ours.target : "/" + ours.target;
    head.headers = fields;
    write_request_head(out, head, "example", plan, ConnectionOption::none);
  } else {
    ResponseHead head;
    head.status = ours.status;
    head.headers = fields;
    write_response_head(out, head, plan, ConnectionOption::none, "");
  }
  HeadParser parser(request ? HeadParser::Kind::request : HeadParser::Kind::response,
                    {1 << 20, 200, 1 << 16});
  const std::string_view text = as_text(out.bytes());
  REQUIRE(parser.parse(text) == Step::done);
  REQUIRE(parser.size() == text.size());
  if (ours.framing.kind != BodyKind::until_close) {
    REQUIRE((request ? parser.request_framing() : parser.response_framing("GET")) == ours.framing);
  }
}

/// Both oracles take framing fields of a trailer section for the message's own and refuse or obey
/// them; we drop them.
bool trailers_name_framing(const Reading& ours, std::string_view bytes) {
  if (ours.framing.kind != BodyKind::chunked) return false;
  std::string text(bytes.substr(bytes.find("\r\n\r\n")));
  for (char& c : text) c = lower(c);
  return text.find("content-length") != std::string::npos ||
         text.find("transfer-encoding") != std::string::npos;
}

void one_input(std::string_view bytes, bool request, std::size_t step) {
  const Reading whole = read_ours(bytes, request, bytes.size() + 1);
  const Reading pieces = read_ours(bytes, request, step);
  REQUIRE(whole.complete == pieces.complete && whole.size == pieces.size &&
          whole.body == pieces.body && whole.fields == pieces.fields &&
          whole.trailers == pieces.trailers);
  if (!whole.complete) return;
  round_trip(whole, request);
  if (trailers_name_framing(whole, bytes)) return;
  compare_llhttp(whole, bytes, request);
  if (request) {
    compare_beast<true>(whole, bytes);
  } else {
    compare_beast<false>(whole, bytes);
  }
}

}  // namespace
}  // namespace octroi::http::h1

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  // The first byte says what kind of message and how large the pieces are.
  const bool request = (data[0] & 1) == 0;
  const std::size_t step = 1 + (data[0] >> 1) % 16;
  octroi::http::h1::one_input({reinterpret_cast<const char*>(data) + 1, size - 1}, request, step);
  return 0;
}
