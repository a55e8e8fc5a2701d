# libevent for vcpkg, in place of its own port: libevent's release, compiled by libevent-iocp.
vcpkg_download_distfile(ARCHIVE
    URLS "https://github.com/libevent/libevent/releases/download/release-${VERSION}-stable/libevent-${VERSION}-stable.tar.gz"
    FILENAME "libevent-${VERSION}-stable.tar.gz"
    SHA512 5c7a1b9f48087258f49653ecb4ce24d7015a9ef4015ad6ffa910a101d5bd37c657c26fc948eaae30c4abeb54d1cda33290878161bd73bb50e4e85f7dc667c36d)
vcpkg_extract_source_archive(LIBEVENT_SOURCE ARCHIVE "${ARCHIVE}")

# The port lies in libevent-iocp's own tree. vcpkg tells one build from another by the port's files alone, of which this
# line changes with each version of those sources.
set(LIBEVENT_IOCP_VERSION 0.2.0)
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
    FEATURES
        openssl LIBEVENT_IOCP_OPENSSL)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        ${FEATURE_OPTIONS}
        "-DLIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE}"
        -DLIBEVENT_IOCP_BUILD_TESTS=OFF
        -DLIBEVENT_IOCP_INSTALL=ON)
vcpkg_cmake_install()

vcpkg_cmake_config_fixup(PACKAGE_NAME libevent CONFIG_PATH lib/cmake/libevent DO_NOT_DELETE_PARENT_CONFIG_PATH)
vcpkg_cmake_config_fixup(PACKAGE_NAME libevent_iocp CONFIG_PATH lib/cmake/libevent_iocp)
vcpkg_fixup_pkgconfig()
vcpkg_copy_pdbs()

file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}/tools/libevent")
file(RENAME "${CURRENT_PACKAGES_DIR}/bin/event_rpcgen.py" "${CURRENT_PACKAGES_DIR}/tools/libevent/event_rpcgen.py")
file(REMOVE "${CURRENT_PACKAGES_DIR}/debug/bin/event_rpcgen.py")
file(REMOVE_RECURSE
    "${CURRENT_PACKAGES_DIR}/debug/include"
    "${CURRENT_PACKAGES_DIR}/debug/share"
    "${CURRENT_PACKAGES_DIR}/share/licenses")
if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
    file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/bin" "${CURRENT_PACKAGES_DIR}/debug/bin")
endif()
vcpkg_install_copyright(FILE_LIST "${LIBEVENT_SOURCE}/LICENSE" "${SOURCE_PATH}/LICENSE")
