# octroi-conformance: the pure modules behind one JSON object a line (architecture 3.2).
if(NOT OCTROI_FUZZ)
  add_executable(octroi-conformance ${CMAKE_CURRENT_LIST_DIR}/conformance_main.cc)
  target_link_libraries(octroi-conformance PRIVATE octroi_base octroi_json octroi_net octroi_http octroi_mpp octroi_l402
    octroi_bolt11 octroi_secrets)
  target_precompile_headers(octroi-conformance REUSE_FROM octroi_pch)
endif()
