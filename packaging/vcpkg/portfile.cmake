# The archives of a release: nothing is compiled. packaging/recipes.py fills in the checksums.
set(VCPKG_BUILD_TYPE release)
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)
# The CMake package is relocatable as it is.
set(VCPKG_POLICY_SKIP_MISPLACED_CMAKE_FILES_CHECK enabled)
set(VCPKG_POLICY_SKIP_LIB_CMAKE_MERGE_CHECK enabled)

set(_sha512_x64 @SHA512:linux-x86_64@)
set(_sha512_arm64 @SHA512:linux-aarch64@)
set(_name_x64 wsabi-@VERSION@-linux-x86_64.tar.gz)
set(_name_arm64 wsabi-@VERSION@-linux-aarch64.tar.gz)
if(NOT _sha512_${VCPKG_TARGET_ARCHITECTURE})
  message(FATAL_ERROR "there is no archive for ${VCPKG_TARGET_ARCHITECTURE}")
endif()

vcpkg_download_distfile(archive
  URLS "@URL@/${_name_${VCPKG_TARGET_ARCHITECTURE}}"
  FILENAME "${_name_${VCPKG_TARGET_ARCHITECTURE}}"
  SHA512 ${_sha512_${VCPKG_TARGET_ARCHITECTURE}})
vcpkg_extract_source_archive(source ARCHIVE "${archive}")

file(INSTALL "${source}/include" "${source}/lib" DESTINATION "${CURRENT_PACKAGES_DIR}")
file(INSTALL "${source}/share/doc/wsabi/" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${source}/share/doc/wsabi/LICENSE-MIT" "${source}/share/doc/wsabi/LICENSE-APACHE"
  "${source}/share/doc/wsabi/THIRD-PARTY-NOTICES.txt")
