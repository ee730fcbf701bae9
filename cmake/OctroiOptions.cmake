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
  if(NOT OCTROI_FUZZ)
    target_compile_options(octroi_options INTERFACE -O1)
  endif()
endif()

# Standard headers, fmt and expected only: anything that changes would rebuild the world.
add_library(octroi_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(octroi_pch PUBLIC octroi_options)
target_precompile_headers(octroi_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# A precompiled header names its build directory, so for ccache no two would be the same and no two
# build directories could share an object. What is in it stands here instead (CCACHE_PCH_EXTSUM).
execute_process(
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -E -P -dD -x c++ ${CMAKE_SOURCE_DIR}/cmake/pch.h
  OUTPUT_VARIABLE octroi_pch_text COMMAND_ERROR_IS_FATAL ANY)
string(SHA256 octroi_pch_sum "${octroi_pch_text}")
file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/octroi_pch.dir/cmake_pch.hxx.pch.sum "${octroi_pch_sum}\n")
