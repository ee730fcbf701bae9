# Compiler and linker options of every target, and the one precompiled header they share.

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)
find_package(Threads REQUIRED)

add_library(octroi_options INTERFACE)
target_compile_options(octroi_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum -Wthread-safety
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror
  -Wno-unused-command-line-argument
  -fno-omit-frame-pointer -Xclang -fno-pch-timestamp
  -march=x86-64-v2)
target_link_options(octroi_options INTERFACE -fuse-ld=lld-19)
target_link_libraries(octroi_options INTERFACE fmt::fmt tl::expected Threads::Threads)

if(OCTROI_RELEASE)
  target_compile_options(octroi_options INTERFACE
    -O2 -g1 -flto=thin -fPIE -fstack-protector-strong -fcf-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -D_GLIBCXX_ASSERTIONS)
  target_link_options(octroi_options INTERFACE -flto=thin -pie -Wl,-z,relro,-z,now -Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/thinlto)
elseif(OCTROI_FUZZ)
  target_compile_options(octroi_options INTERFACE -O1 -g1 -fsanitize=fuzzer-no-link)
else()
  target_compile_options(octroi_options INTERFACE -O0 -g1 -D_GLIBCXX_ASSERTIONS)
endif()

if(OCTROI_SANITIZE)
  target_compile_options(octroi_options INTERFACE -fsanitize=${OCTROI_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(octroi_options INTERFACE -fsanitize=${OCTROI_SANITIZE})
  # Tests run once, and optimising them with their checks takes three times as long as compiling them.
  if(NOT OCTROI_FUZZ)
    target_compile_options(octroi_options INTERFACE $<$<NOT:$<BOOL:$<TARGET_PROPERTY:OCTROI_TESTS>>>:-O1>)
  endif()
endif()

# Standard headers, fmt and expected only: anything that changes would rebuild the world.
#
# A precompiled header names its build directory, so for ccache no two would be the same and no two
# build directories could share an object. What is in it stands beside it instead (CCACHE_PCH_EXTSUM).
execute_process(
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -E -P -dD -x c++ ${CMAKE_SOURCE_DIR}/cmake/pch.h
  OUTPUT_VARIABLE octroi_pch_text COMMAND_ERROR_IS_FATAL ANY)
string(SHA256 octroi_pch_sum "${octroi_pch_text}")

function(octroi_precompiled name)
  add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
  target_link_libraries(${name} PUBLIC octroi_options)
  target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/${name}.dir/cmake_pch.hxx.pch.sum "${octroi_pch_sum}\n")
endfunction()

octroi_precompiled(octroi_pch)
set(octroi_test_pch octroi_pch)
if(OCTROI_SANITIZE AND NOT OCTROI_FUZZ)  # it goes with the options of those who use it
  set(octroi_test_pch octroi_test_pch)
  octroi_precompiled(octroi_test_pch)
  set_target_properties(octroi_test_pch PROPERTIES OCTROI_TESTS ON)
endif()
