#!/bin/sh
# The recipe for Conan and the port for vcpkg, over the archive in dist/: a program is built with each and runs. vcpkg itself
# is not there: its functions that the port calls stand in for it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
conan=$PWD/build/dist/venv/bin/conan
export CONAN_HOME=$work/conan-home

# As a user gets them: the clone is not beside them.
is_written() { python3 packaging/recipes.py "file://$PWD/dist" && cp -R dist/recipes "$work/recipes"; }

conan_knows_this_machine() { $conan profile detect; }

conan_creates() { $conan create "$work/recipes/conan" -o "wsabi/*:shared=$1" && $conan list 'wsabi/*:*' | grep -F "shared: $1"; }

conan_refuses_another_archive() {
    sed 's/"sha256": "./"sha256": "x/' "$work/recipes/conan/conandata.yml" >"$work/other" &&
        cp -R "$work/recipes/conan" "$work/conan-other" && cp "$work/other" "$work/conan-other/conandata.yml" &&
        ! $conan create "$work/conan-other" -o 'wsabi/*:shared=True' >"$work/said" 2>&1 && grep -i 'sha256' "$work/said"
}

conan_says_what_is_missing() {
    ! $conan create "$work/recipes/conan" -s arch=mips >"$work/said" 2>&1 && grep 'there is no archive for Linux-mips' "$work/said"
}

vcpkgs_port_installs() {
    cat >"$work/vcpkg.cmake" <<'END'
set(PORT wsabi)
function(vcpkg_download_distfile result)
  cmake_parse_arguments(PARSE_ARGV 1 it "" "URLS;FILENAME;SHA512" "")
  file(DOWNLOAD "${it_URLS}" "${WORK}/${it_FILENAME}" EXPECTED_HASH "SHA512=${it_SHA512}")
  set(${result} "${WORK}/${it_FILENAME}" PARENT_SCOPE)
endfunction()
function(vcpkg_extract_source_archive result)
  cmake_parse_arguments(PARSE_ARGV 1 it "" "ARCHIVE" "")
  file(ARCHIVE_EXTRACT INPUT "${it_ARCHIVE}" DESTINATION "${WORK}/source")
  file(GLOB top "${WORK}/source/*")
  set(${result} "${top}" PARENT_SCOPE)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 it "" "" "FILE_LIST")
  foreach(file ${it_FILE_LIST})
    file(READ "${file}" text)
    file(APPEND "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${text}")
  endforeach()
endfunction()
include("${WORK}/recipes/vcpkg/portfile.cmake")
END
    python3 -m json.tool "$work/recipes/vcpkg/vcpkg.json" && cmake -DWORK="$work" -DVCPKG_TARGET_ARCHITECTURE=x64 \
        -DCURRENT_PACKAGES_DIR="$work/installed" -P "$work/vcpkg.cmake" && [ -s "$work/installed/share/wsabi/copyright" ]
}

vcpkgs_program_runs() {
    cmake -S "$work/recipes/conan/test_package" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/installed" &&
        cmake --build "$work/build" && "$work/build/hello"
}

check the_recipes_are_written is_written
if have cmake; then
    check conan_knows_this_machine conan_knows_this_machine
    check conan_creates_the_static_library conan_creates False
    check conan_creates_the_shared_library conan_creates True
    check conan_refuses_another_archive conan_refuses_another_archive
    check conan_says_what_is_missing conan_says_what_is_missing
    if [ "$(uname -m)" = x86_64 ]; then
        check vcpkgs_port_installs vcpkgs_port_installs
        check vcpkgs_program_runs vcpkgs_program_runs
    fi
else
    skip 'CMake is not there'
fi
finish
