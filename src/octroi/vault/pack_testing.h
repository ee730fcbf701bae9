// octroi/vault/pack_testing.h: requests as a pack gets them (request.h reads them so). For tests
// only.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "octroi/vault/pack.h"

namespace octroi::vault {

/// Without a body where the form is empty.
inline Input form_request(std::string method, std::string path, std::string_view form,
                          const Form::Rules& rules = {}) {
  Input in;
  in.method = std::move(method);
  in.path = std::move(path);
  if (form.empty()) return in;
  in.body_kind = BodyKind::form;
  in.form = *Form::parse(form, rules);
  in.body = in.form.text();
  return in;
}

/// A POST. Text that is no strict JSON makes a request without a document.
inline Input json_request(std::string path, std::string_view text) {
  Input in;
  in.method = "POST";
  in.path = std::move(path);
  in.body_kind = BodyKind::json;
  if (auto document = json::parse(text)) in.document.emplace(std::move(*document));
  if (in.document) in.body = in.document->root().to_json();
  return in;
}

}  // namespace octroi::vault
