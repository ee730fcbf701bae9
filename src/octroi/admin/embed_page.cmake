# cmake -DOUT=<file.cc> -DDIR=<dashboard/> -P embed_page.cmake
#
# Writes the page's files into a C++ table, each with an ETag that is made of its content, so that
# the binary needs no files beside it and browsers notice when another version serves.
set(text "// Made from the files of dashboard/ by embed_page.cmake.\n#include \"octroi/admin/page.h\"\n\nnamespace octroi::admin {\nstd::span<const PageFile> page_files() {\n  static constexpr PageFile kAll[] = {\n")
foreach(entry
    "/|index.html|text/html"
    "/dashboard.js|dashboard.js|text/javascript"
    "/dashboard.css|dashboard.css|text/css")
  string(REPLACE "|" ";" parts "${entry}")
  list(GET parts 0 path)
  list(GET parts 1 name)
  list(GET parts 2 type)
  file(READ ${DIR}/${name} content)
  string(FIND "${content}" ")octroi_page\"" delimiter)
  if(NOT delimiter EQUAL -1)
    message(FATAL_ERROR "${name} holds what its text ends with in C++")
  endif()
  file(SHA256 ${DIR}/${name} digest)
  string(SUBSTRING ${digest} 0 32 tag)
  string(APPEND text "      {\"${path}\", \"${type}; charset=utf-8\", \"\\\"${tag}\\\"\",\n       R\"octroi_page(${content})octroi_page\"},\n")
endforeach()
string(APPEND text "  };\n  return kAll;\n}\n}  // namespace octroi::admin\n")
file(WRITE ${OUT} "${text}")
