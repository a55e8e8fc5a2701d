# Install rules and the CMake package libevent_iocp.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/libevent_iocp)
set(package_targets libevent_iocp_core libevent_iocp_extra)
if(LIBEVENT_IOCP_OPENSSL)
    list(APPEND package_targets libevent_iocp_openssl)
endif()
install(TARGETS ${package_targets} EXPORT libevent_iocp
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT libevent_iocp NAMESPACE libevent_iocp::
    FILE libevent_iocp-targets.cmake DESTINATION ${package_dir})

configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/libevent_iocp-config.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/libevent_iocp-config.cmake"
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
    "${CMAKE_CURRENT_BINARY_DIR}/libevent_iocp-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/libevent_iocp-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/libevent_iocp-config-version.cmake"
    DESTINATION ${package_dir})

# The headers where libevent itself puts them, and ours beside them.
foreach(list HDR_COMPAT HDR_PUBLIC)
    set(headers)
    foreach(header IN LISTS LIBEVENT_${list})
        cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
        list(APPEND headers "${header}")
    endforeach()
    set(LIBEVENT_${list} "${headers}")
endforeach()
install(FILES ${LIBEVENT_HDR_COMPAT} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${LIBEVENT_HDR_PUBLIC} ${SEAM_PUBLIC_HEADERS}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/event2)
