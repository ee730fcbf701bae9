# octroi_module(<name> [PATH <dir>] DEPS <module>... LIBS <library>... [TEST_LIBS <library>...] [TEST_DEPS <module>...])
#
# One module is one folder, one static library octroi_<name> and one test binary octroi_<name>_test.
# Each library gets an include root of its own that holds nothing but that module, so a header of a
# module that is not linked cannot be included: the link graph is the layer diagram.
#
#   x.cc        goes into the library
#   x_test.cc   into octroi_<name>_test
#   x_bench.cc  into octroi_<name>_bench (built on demand: target `benchmarks`)
#   x_fuzz.cc   is a fuzz target of its own (preset fuzz), replayed over its corpus in unit tests

find_package(GTest REQUIRED)
find_package(benchmark QUIET)

function(octroi_include_root name dir)
  set(root ${CMAKE_SOURCE_DIR}/build/include/${name})
  file(RELATIVE_PATH rel ${CMAKE_SOURCE_DIR}/src/octroi ${dir})
  get_filename_component(parent ${root}/octroi/${rel} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  if(NOT EXISTS ${root}/octroi/${rel})
    file(CREATE_LINK ${dir} ${root}/octroi/${rel} SYMBOLIC)
  endif()
  set(${name}_include_root ${root} PARENT_SCOPE)
endfunction()

function(octroi_module name)
  cmake_parse_arguments(M "" "" "DEPS;LIBS;TEST_DEPS;TEST_LIBS" ${ARGN})
  set(dir ${CMAKE_CURRENT_SOURCE_DIR})
  octroi_include_root(${name} ${dir})

  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz|main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  set(deps ${M_DEPS})
  list(TRANSFORM deps PREPEND octroi_)
  if(sources)
    add_library(octroi_${name} STATIC ${sources})
    set(visibility PUBLIC)
    target_precompile_headers(octroi_${name} REUSE_FROM octroi_pch)
  else()
    add_library(octroi_${name} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(octroi_${name} ${visibility} ${${name}_include_root})
  target_link_libraries(octroi_${name} ${visibility} octroi_options ${deps} ${M_LIBS})

  set(test_deps ${M_TEST_DEPS})
  list(TRANSFORM test_deps PREPEND octroi_)
  if(tests AND NOT OCTROI_FUZZ)
    add_executable(octroi_${name}_test ${tests})
    set_target_properties(octroi_${name}_test PROPERTIES OCTROI_TESTS ON)
    target_precompile_headers(octroi_${name}_test REUSE_FROM ${octroi_test_pch})
    target_link_libraries(octroi_${name}_test PRIVATE octroi_${name} ${test_deps} ${M_TEST_LIBS} GTest::gmock GTest::gtest_main)
    if(OCTROI_RELEASE)
      # The release preset is what users run; its tests, linked with optimisation, only on demand.
      set_target_properties(octroi_${name}_test PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
    set_property(GLOBAL APPEND PROPERTY OCTROI_TEST_TARGETS octroi_${name}_test)
    add_test(NAME ${name} COMMAND octroi_${name}_test --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES
      LABELS unit TIMEOUT 900
      ENVIRONMENT "OCTROI_TESTDATA=${CMAKE_SOURCE_DIR}/tests/testdata;OCTROI_SOURCE=${CMAKE_SOURCE_DIR};TSAN_OPTIONS=halt_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")
  endif()
  if(benches AND benchmark_FOUND AND NOT OCTROI_FUZZ)
    add_executable(octroi_${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(octroi_${name}_bench PRIVATE octroi_${name} ${test_deps} benchmark::benchmark benchmark::benchmark_main)
    set_property(GLOBAL APPEND PROPERTY OCTROI_BENCH_TARGETS octroi_${name}_bench)
  endif()
  if(OCTROI_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(stem ${fuzzer} NAME_WE)
      add_executable(${name}_${stem} ${fuzzer})
      target_precompile_headers(${name}_${stem} REUSE_FROM octroi_pch)
      target_link_libraries(${name}_${stem} PRIVATE octroi_${name} ${test_deps})
      target_link_options(${name}_${stem} PRIVATE -fsanitize=fuzzer)
      set_property(GLOBAL APPEND PROPERTY OCTROI_FUZZ_TARGETS ${name}_${stem})
    endforeach()
  endif()
endfunction()
