// octroi/admin/vault_openapi.h: the paths of the vault door in the description of the admin API, as
// members of its "paths", each with a comma behind it. Thread: a constant.
#pragma once

#include <string_view>

namespace octroi::admin {

// clang-format off
inline constexpr std::string_view kVaultPaths =
    R"("/api/v1/vault/keys":{"get":{"parameters":[{"name":"run","in":"query","schema":{"type":"string"}},{"name":"agent","in":"query","schema":{"type":"string"}},{"name":"policy","in":"query","schema":{"type":"string"}},{"name":"vendor","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"keys in the order of their making, without what opens"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}},"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["vendor","policy"],"additionalProperties":false,"properties":{"vendor":{"type":"string"},"policy":{"type":"string"},"name":{"type":"string"},"server":{"type":"string"},"agent":{"type":"string"},"run":{"type":"string"},"parent":{"type":"string"},"networks":{"type":"string"},"shape":{"enum":["vault","vendor","stripe","restricted","resend","openai","anthropic","twilio"]},"test":{"type":"boolean"},"canary":{"type":"boolean"},"expires":{"type":"string","format":"date-time"}}}}}},"responses":{"200":{"description":"the key; its text is not shown again"},"400":{"description":"names the field"},"401":{"description":"no or wrong token"}}}},
)"
    R"("/api/v1/vault/keys/{id}":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"the key, without what opens"},"401":{"description":"no or wrong token"},"404":{"description":"no such key"}}}},
)"
    R"("/api/v1/vault/keys/{id}/revoke":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"responses":{"200":{"description":"final; no further call is forwarded, and keys below it end too"},"401":{"description":"no or wrong token"},"404":{"description":"no such key"}}}},
)"
    R"("/api/v1/vault/keys/{id}/pause":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"responses":{"200":{"description":"it opens nothing until it is resumed"},"401":{"description":"no or wrong token"},"404":{"description":"no such key"}}}},
)"
    R"("/api/v1/vault/keys/{id}/resume":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"responses":{"200":{"description":"the pause is over"},"401":{"description":"no or wrong token"},"404":{"description":"no such key"}}}},
)"
    R"("/api/v1/vault/keys/{id}/rotate":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"requestBody":{"required":false,"content":{"application/json":{"schema":{"type":"object","properties":{"overlap":{"type":"string","description":"how long the old one still works: 1h"},"shape":{"enum":["vault","vendor","stripe","restricted","resend","openai","anthropic","twilio"]}}}}}},"responses":{"200":{"description":"a new key in its place, with the keys that stood below it; its text is not shown again"},"400":{"description":"names the field"},"401":{"description":"no or wrong token"},"404":{"description":"no such key"},"409":{"description":"it is over"}}}},
)"
    R"("/api/v1/vault/revoke":{"post":{"parameters":[{"name":"run","in":"query","schema":{"type":"string"}},{"name":"agent","in":"query","schema":{"type":"string"}},{"name":"policy","in":"query","schema":{"type":"string"}},{"name":"vendor","in":"query","schema":{"type":"string"}},{"name":"all","in":"query","schema":{"enum":["yes"]}}],"responses":{"200":{"description":"the ids of the keys that were revoked"},"400":{"description":"nothing is named"},"401":{"description":"no or wrong token"}}}},
)"
    R"("/api/v1/vault/credentials/{vendor}":{"parameters":[{"name":"vendor","in":"path","required":true,"schema":{"type":"string"}}],"post":{"requestBody":{"required":true,"content":{"text/plain":{"schema":{"type":"string","description":"the real key, sealed by octroi vault register"}}}},"responses":{"200":{"description":"it is used from now on"},"400":{"description":"not one of vault.vendors, or sealed with another key"},"401":{"description":"no or wrong token"}}}},
)"
    R"("/api/v1/vault/reconcile":{"post":{"requestBody":{"required":false,"content":{"application/json":{"schema":{"type":"object","properties":{"vendor":{"type":"string"},"since":{"type":"string","format":"date-time","description":"a day ago, when left out"},"grace_ms":{"type":"integer","minimum":0,"description":"when what a vendor does not show is released; vault.reconcile.grace"},"dry_run":{"type":"boolean"},"all":{"type":"boolean","description":"also calls that are the same"}}}}}},"responses":{"200":{"description":"by vendor, what the ledger and the vendor say, what differs, and what was done"},"400":{"description":"names the member"},"401":{"description":"no or wrong token"},"404":{"description":"no such vendor"}}}},
)"
    R"("/api/v1/approvals":{"get":{"parameters":[{"name":"state","in":"query","schema":{"enum":["pending","approved","denied","used","expired","all"]}}],"responses":{"200":{"description":"tickets, newest first"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"}}}},
)"
    R"("/api/v1/approvals/{id}":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"the ticket"},"401":{"description":"no or wrong token"},"404":{"description":"no such ticket"}}}},
)"
    R"("/api/v1/approvals/{id}/approve":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"parameters":[{"name":"by","in":"query","description":"who decides, for the audit","schema":{"type":"string","maxLength":128}}],"responses":{"200":{"description":"this request passes once, when it is sent again"},"401":{"description":"no or wrong token"},"404":{"description":"no such ticket"},"409":{"description":"it is decided, used or over"}}}},
)"
    R"("/api/v1/approvals/{id}/deny":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"post":{"parameters":[{"name":"by","in":"query","description":"who decides, for the audit","schema":{"type":"string","maxLength":128}}],"responses":{"200":{"description":"it is refused until the ticket is over"},"401":{"description":"no or wrong token"},"404":{"description":"no such ticket"},"409":{"description":"it is decided, used or over"}}}},
)"
    R"("/api/v1/policies":{"get":{"responses":{"200":{"description":"those of the file and those of the store"},"401":{"description":"no or wrong token"}}}},
)"
    R"("/api/v1/policies/{name}":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"the policy"},"401":{"description":"no or wrong token"},"404":{"description":"no such policy"}}},"put":{"parameters":[{"name":"If-Match","in":"header","description":"the version that was read","schema":{"type":"string"}},{"name":"If-None-Match","in":"header","description":"* creates","schema":{"enum":["*"]}}],"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","description":"a policy; see docs/policy.md"}}}},"responses":{"200":{"description":"the next call is judged by it"},"400":{"description":"names the field"},"401":{"description":"no or wrong token"},"409":{"description":"it stands in the file, or is of another version"}}},"delete":{"parameters":[{"name":"If-Match","in":"header","description":"the version that was read","schema":{"type":"string"}}],"responses":{"200":{"description":"its keys open nothing"},"401":{"description":"no or wrong token"},"404":{"description":"no such policy in the store"},"409":{"description":"it stands in the file, or is of another version"}}}},
)"
    R"("/api/v1/policies/{name}/versions":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"every version, newest first"},"401":{"description":"no or wrong token"},"404":{"description":"the store has none"}}}},
)"
    R"("/api/v1/policies/{name}/rollback":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string"}}],"post":{"parameters":[{"name":"version","in":"query","required":true,"schema":{"type":"integer","minimum":1}}],"responses":{"200":{"description":"the text of that version is the newest"},"400":{"description":"names the parameter"},"401":{"description":"no or wrong token"},"404":{"description":"no such version"},"409":{"description":"it stands in the file"}}}},
)"
    R"("/api/v1/policies/{name}/usage":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"what each cap holds, has settled and has left, and when it begins anew"},"401":{"description":"no or wrong token"},"404":{"description":"no such policy"}}}},
)"
    R"("/api/v1/policies/{name}/simulate":{"parameters":[{"name":"name","in":"path","required":true,"schema":{"type":"string"}}],"post":{"parameters":[{"name":"from","in":"query","schema":{"type":"string","format":"date-time"}},{"name":"to","in":"query","schema":{"type":"string","format":"date-time"}}],"requestBody":{"required":false,"content":{"application/json":{"schema":{"type":"object","description":"a policy; see docs/policy.md"}}}},"responses":{"200":{"description":"the calls of the audit whose verdict would be another"},"400":{"description":"names the field"},"401":{"description":"no or wrong token"},"404":{"description":"no such policy"}}}},
)";
// clang-format on

}  // namespace octroi::admin
