// octroi/admin/page.h: the dashboard of the admin listener: three files that are part of the binary
// (dashboard/), for browsers.
//
//   GET  /               the page
//   GET  /dashboard.js   its module
//   GET  /dashboard.css  how it looks
//
// They hold no data and need no credential: whoever looks types the admin token into the page, and
// the page asks /api/v1 with it. So that nothing else can: the policy sent along lets it load,
// run and ask only what comes from this listener, and nobody may put it into a frame.
// Strong ETags, 304 where If-None-Match has one; HEAD; 405 for other methods.
// Thread  the files are constants; serving, the control loop.
#pragma once

#include <span>
#include <string_view>

#include "octroi/http/server.h"

namespace octroi::admin {

struct PageFile {
  std::string_view path;  // "/"
  std::string_view type;  // of its content
  std::string_view etag;  // with its quotes
  std::string_view content;
};

/// What was built in.
[[nodiscard]] std::span<const PageFile> page_files();
/// Null: this path is none of the page's.
[[nodiscard]] const PageFile* page_file(std::string_view path);

Task<void> send_page(http::Exchange& exchange, const PageFile* file);

}  // namespace octroi::admin
