#include "octroi/adapters/sql/connection.h"

namespace octroi::sql {

std::string_view to_string(Engine e) {
  switch (e) {
    case Engine::sqlite:
      return "sqlite";
    case Engine::postgresql:
      return "postgresql";
  }
  return "unknown";
}

std::optional<Engine> engine_from_string(std::string_view text) {
  for (const Engine e : {Engine::sqlite, Engine::postgresql}) {
    if (to_string(e) == text) return e;
  }
  return std::nullopt;
}

}  // namespace octroi::sql
