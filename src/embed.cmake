# SPDX-License-Identifier: Apache-2.0
# Writes the files named in LIST (one a line, relative to ROOT) into a C++ source at OUTPUT, so that the program carries them.
file(STRINGS ${LIST} names)
set(code "// made by CMake from the files it names\n#include \"src/util/embedded.h\"\n\nnamespace foldstream {\nnamespace {\n\n")
string(APPEND code "constexpr EmbeddedFile kFiles[] = {\n")
foreach(name ${names})
  file(READ ${ROOT}/${name} text)
  string(APPEND code "{\"${name}\", R\"embedded(${text})embedded\"},\n")
endforeach()
string(APPEND code "};\n\n}  // namespace\n\nstd::span<const EmbeddedFile> embedded_files() { return kFiles; }\n\n}  // namespace foldstream\n")
file(WRITE ${OUTPUT} "${code}")
