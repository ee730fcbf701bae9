# Target check_headers: every header compiles alone, twice in a row, without the precompiled header.
#
# A header that only compiles after another one breaks whoever includes it first. Not part of the
# default build: `cmake --build --preset dev --target check_headers`.

add_custom_target(check_headers)

file(GLOB module_lists CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/src/octroi/*/CMakeLists.txt ${CMAKE_SOURCE_DIR}/src/octroi/adapters/*/CMakeLists.txt)
foreach(list ${module_lists})
  get_filename_component(dir ${list} DIRECTORY)
  get_filename_component(module ${dir} NAME)
  if(NOT TARGET octroi_${module})
    continue()
  endif()
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${dir}/*.h)
  set(units)
  foreach(header ${headers})
    file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR}/src ${header})
    set(unit ${CMAKE_BINARY_DIR}/headers/${relative}.cc)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${relative}\"\n#include \"${relative}\"\n")
    list(APPEND units ${unit})
  endforeach()
  if(units)
    add_library(octroi_${module}_headers OBJECT EXCLUDE_FROM_ALL ${units})
    # -fsyntax-only would leave ninja without outputs; -O0 and no debug information cost little more.
    target_compile_options(octroi_${module}_headers PRIVATE -g0)
    target_link_libraries(octroi_${module}_headers PRIVATE octroi_${module} GTest::gmock GTest::gtest)
    add_dependencies(check_headers octroi_${module}_headers)
  endif()
endforeach()
