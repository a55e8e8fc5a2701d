# Install rules: the prefix that libevent's own install makes, so that a project which uses that one
# can be pointed at ours, with our header, our CMake package and both licences beside.
include(CMakePackageConfigHelpers)

if(BUILD_SHARED_LIBS)
    set(package_kind shared)
else()
    set(package_kind static)
endif()

# The libraries. The CMake packages of a prefix that both kinds are installed to offer both.
set(package_targets libevent_iocp_core libevent_iocp_extra libevent_iocp_event)
if(LIBEVENT_IOCP_OPENSSL)
    list(APPEND package_targets libevent_iocp_openssl)
endif()
install(TARGETS ${package_targets} EXPORT libevent_iocp-${package_kind}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The headers where libevent itself puts them, and ours beside them.
foreach(list HDR_COMPAT HDR_PUBLIC)
    set(headers)
    foreach(header IN LISTS LIBEVENT_${list})
        cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
        list(APPEND headers "${header}")
    endforeach()
    set(package_${list} "${headers}")
endforeach()
install(FILES ${package_HDR_COMPAT} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${package_HDR_PUBLIC} ${SEAM_PUBLIC_HEADERS}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/event2)
install(PROGRAMS "${LIBEVENT_SOURCE_DIR}/event_rpcgen.py" DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES "${LIBEVENT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/libevent)
install(FILES "${LIBEVENT_IOCP_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/libevent-iocp)

# libevent_package(<name> <its version>): the CMake package <name>, with targets <name in lower case>::core
# and so on: "Libevent" is libevent's own, for projects that ask for that, "libevent_iocp" is ours. Versions that share so much
# may take each other's place: of ours before 1.0 the first two numbers, see CHANGELOG.md.
function(libevent_package name version share)
    string(TOLOWER ${name} PACKAGE_NAMESPACE)
    set(PACKAGE_NAME ${name})
    set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/${PACKAGE_NAMESPACE})
    if(name STREQUAL "Libevent")
        set(config ${name}Config.cmake)
        set(config_version ${name}ConfigVersion.cmake)
    else()
        set(config ${name}-config.cmake)
        set(config_version ${name}-config-version.cmake)
    endif()
    configure_package_config_file(
        "${LIBEVENT_IOCP_DIR}/tools/cmake/package-config.cmake.in"
        "${PROJECT_BINARY_DIR}/package/${config}"
        INSTALL_DESTINATION ${folder}
        PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
    write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/${config_version}"
        VERSION ${version} COMPATIBILITY ${share})
    install(FILES
        "${PROJECT_BINARY_DIR}/package/${config}" "${PROJECT_BINARY_DIR}/package/${config_version}"
        DESTINATION ${folder})
endfunction()
libevent_package(libevent_iocp ${PROJECT_VERSION} SameMinorVersion)
libevent_package(Libevent ${LIBEVENT_VERSION} SameMajorVersion)
# Once, and both packages take the targets from here: a project that includes us and exports a library of its own could not
# say which ones that library needs if there were two.
install(FILES "${LIBEVENT_IOCP_DIR}/tools/cmake/LibeventTargets.cmake"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/libevent)
install(EXPORT libevent_iocp-${package_kind} NAMESPACE libevent_iocp::
    FILE libevent_iocpTargets-${package_kind}.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/libevent_iocp)

# libevent_pkgconfig(<name> <description> [requires]): the file <name>.pc, from the lists pc_libraries
# and, with static libraries, pc_system: what has to be linked after them whether --static is said or
# not, as there is no other kind here.
function(libevent_pkgconfig name description)
    list(TRANSFORM pc_libraries PREPEND -l)
    list(TRANSFORM pc_system PREPEND -l)
    list(JOIN ARGN " " PC_REQUIRES)
    if(BUILD_SHARED_LIBS)
        list(JOIN pc_libraries " " PC_LIBS)
        list(JOIN pc_system " " PC_LIBS_PRIVATE)
    else()
        list(JOIN pc_libraries " " PC_LIBS)
        list(JOIN pc_system " " system)
        string(APPEND PC_LIBS " ${system}")
        set(PC_LIBS_PRIVATE)
    endif()
    set(PC_NAME ${name})
    set(PC_DESCRIPTION "${description}")
    configure_file("${LIBEVENT_IOCP_DIR}/tools/cmake/libevent.pc.in"
        "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
set(pc_system ${LIBEVENT_LIB_PLATFORM} iphlpapi)
list(REMOVE_DUPLICATES pc_system)
set(pc_libraries event)
libevent_pkgconfig(libevent "libevent with I/O completion ports: core and extra in one library")
set(pc_libraries event_core)
libevent_pkgconfig(libevent_core "libevent with I/O completion ports: event loop, bufferevents, listeners")
set(pc_libraries event_extra event_core)
libevent_pkgconfig(libevent_extra "libevent with I/O completion ports: HTTP, DNS, RPC" libevent_core)
if(LIBEVENT_IOCP_OPENSSL)
    if(BUILD_SHARED_LIBS)
        set(pc_libraries event_openssl)
    else()
        set(pc_libraries event_openssl event_core)
        if(NOT MSVC)
            # GNU's linker wants them before the system libraries, and what Requires brings comes after. MSVC's takes any
            # order, and has OpenSSL's libraries by other names, which Requires knows.
            list(APPEND pc_libraries ssl crypto)
        endif()
        list(APPEND pc_system gdi32 crypt32 user32)
    endif()
    libevent_pkgconfig(libevent_openssl "libevent with I/O completion ports: TLS by OpenSSL"
        libevent_core libssl libcrypto)
endif()
