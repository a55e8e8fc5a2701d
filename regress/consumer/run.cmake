# Run by ctest: builds and runs the consumer project beside this file, or (WAY=bad-source) checks
# that a wrong LIBEVENT_SOURCE_DIR, or another archive than libevent's, is refused with a message that says so.
cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}\n${out}\nstatus ${status}")
    endif()
    set(out "${out}" PARENT_SCOPE)
endfunction()

# Our sources as a user has them, who has not run tools/setup.
function(copy_sources folder)
    file(COPY ${SOURCE_DIR}/CMakeLists.txt ${SOURCE_DIR}/LICENSE ${SOURCE_DIR}/backend ${SOURCE_DIR}/bufferevent
        ${SOURCE_DIR}/compat ${SOURCE_DIR}/tools DESTINATION ${folder})
endfunction()

# expect_refusal(<source folder> <variable=value> <pattern>)
function(expect_refusal source setting pattern)
    execute_process(
        COMMAND ${CMAKE_COMMAND} -S ${source} -B ${WORK_DIR} -G ${GENERATOR} -D ${setting}
        RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
    if(status EQUAL 0 OR NOT out MATCHES "${pattern}")
        message(FATAL_ERROR "${setting}: not refused with '${pattern}':\n${out}")
    endif()
    file(REMOVE_RECURSE "${WORK_DIR}/CMakeCache.txt" "${WORK_DIR}/CMakeFiles")
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")

if(WAY STREQUAL "bad-source")
    set(tree LIBEVENT_SOURCE_DIR)
    expect_refusal(${SOURCE_DIR} ${tree}=${WORK_DIR}/nowhere "/nowhere is no folder: name a libevent source tree, or ")
    expect_refusal(${SOURCE_DIR} ${tree}=${CMAKE_CURRENT_LIST_DIR}
        "/consumer holds no libevent sources \\(no event.c\\)\n")
    foreach(file event.c event-config.h.cmake)
        file(WRITE "${WORK_DIR}/other/${file}" "")
    endforeach()
    foreach(version 0x02010b00=2.1.11 0x02030001=2.3.0)
        string(REPLACE "=" ";" version "${version}")
        list(GET version 0 number)
        list(GET version 1 name)
        file(WRITE "${WORK_DIR}/other/CMakeLists.txt" "set(EVENT_NUMERIC_VERSION ${number})\n")
        expect_refusal(${SOURCE_DIR} ${tree}=${WORK_DIR}/other
            "/other is libevent ${name}, and this project takes 2.1.12 and later, before 2.3\n")
    endforeach()
    expect_refusal(${SOURCE_DIR} EVENT__DISABLE_THREAD_SUPPORT=ON "ON leaves out the locks of libevent's bases, and ")
    copy_sources(${WORK_DIR}/libevent-iocp)
    set(archive LIBEVENT_IOCP_URL)
    set(ours ${WORK_DIR}/libevent-iocp)
    expect_refusal(${ours} ${archive}=file://${WORK_DIR}/nothing.tar.gz
        "Cannot fetch libevent [0-9.]+ from file://[^\n]*/nothing.tar.gz [^\n]*: name a source tree by -D")
    expect_refusal(${ours} ${archive}=file://${SOURCE_DIR}/LICENSE
        "/LICENSE \\(what is there is not libevent's archive\\): name a source tree by -D")
    return()
endif()

# Results of libevent's checks are not taken for those of another machine, whatever the compiler is called.
if(WAY STREQUAL "checks-key")
    include(${SOURCE_DIR}/tools/cmake/checks_key.cmake)
    set(CMAKE_C_COMPILER clang)
    set(seen)
    foreach(CMAKE_C_COMPILER_TARGET x86_64-pc-windows-msvc i686-pc-windows-msvc)
        foreach(CMAKE_SIZEOF_VOID_P 4 8)
            foreach(CMAKE_C_COMPILER_ARCHITECTURE_ID x64 ARM64)
                libevent_checks_key(${LIBEVENT_SOURCE_DIR}/CMakeLists.txt key)
                libevent_checks_key(${LIBEVENT_SOURCE_DIR}/CMakeLists.txt again)
                if(key IN_LIST seen OR NOT key STREQUAL again)
                    message(FATAL_ERROR "${CMAKE_C_COMPILER_TARGET}, ${CMAKE_SIZEOF_VOID_P}, \
${CMAKE_C_COMPILER_ARCHITECTURE_ID}: ${key} and ${again}, after ${seen}")
                endif()
                list(APPEND seen ${key})
            endforeach()
        endforeach()
    endforeach()
    return()
endif()

set(configure ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -G ${GENERATOR} -D CMAKE_TOOLCHAIN_FILE=${TOOLCHAIN})
set(checks -C ${BUILD_DIR}/libevent-checks.cmake)

# A project in C and C++ that installs a library of its own, which needs ours. Nothing is built: that is in "subdirectory".
if(WAY STREQUAL "exporting")
    run(${configure} -B ${WORK_DIR} "-DCONSUMER_LANGUAGES=C\;CXX" ${checks} -D CONSUMER_SUBDIRECTORY=${SOURCE_DIR}
        -D LIBEVENT_IOCP_INSTALL=ON -D LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR})
    return()
endif()

list(APPEND configure -B ${WORK_DIR}/build -D CONSUMER_LANGUAGES=C)
if(WAY STREQUAL "install")
    run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix)
    # By name, since a cross build looks for packages in the compiler's own folders alone.
    run(${configure} -D CMAKE_BUILD_TYPE=Release -D libevent_iocp_DIR=${WORK_DIR}/prefix/lib/cmake/libevent_iocp
        -D Libevent_DIR=${WORK_DIR}/prefix/lib/cmake/libevent)
else()
    # In a folder whose name would mean something else in a regular expression.
    set(folder "${WORK_DIR}/C++ (1)")
    copy_sources("${folder}/libevent-iocp")
    # libevent is fetched from where tools/setup keeps its archive, unless another tree is tested.
    if(EXISTS "${LIBEVENT_SOURCE_DIR}.tar.gz")
        set(libevent -D LIBEVENT_IOCP_URL=file://${LIBEVENT_SOURCE_DIR}.tar.gz)
    else()
        set(libevent -D LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR})
    endif()
    if(OPENSSL)
        file(COPY ${OPENSSL_INCLUDE_DIR}/openssl DESTINATION "${folder}/include")
        list(APPEND libevent "-DOPENSSL_INCLUDE_DIR=${folder}/include")
    endif()
    # Without a build type, as many have it who are not told of any.
    run(${configure} ${checks} "-DCONSUMER_SUBDIRECTORY=${folder}/libevent-iocp" ${libevent}
        -D LIBEVENT_IOCP_OPENSSL=${OPENSSL} -D LIBEVENT_IOCP_INSTALL=ON)
endif()
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
foreach(environment NOTHING=1 EVENT_IOCP=1)
    run(${CMAKE_COMMAND} -E env ${environment} ${EMULATOR} ${WORK_DIR}/build/timer.exe)
    message("${out}")
    if(environment STREQUAL "EVENT_IOCP=1" AND NOT out MATCHES " on iocp: 1")
        message(FATAL_ERROR "With ${environment} the base is not on the port")
    endif()
endforeach()

run(${EMULATOR} ${WORK_DIR}/build/version.exe)
message("${out}")

# What asks the server needs Linux: tools/wine-run, and clients on a core of their own.
if(OPENSSL AND NOT CMAKE_HOST_WIN32)
    run(python3 ${CMAKE_CURRENT_LIST_DIR}/check_tls_server.py
        ${WORK_DIR}/build/tls_server.exe ${WORK_DIR}/build)
    message("${out}")
endif()
