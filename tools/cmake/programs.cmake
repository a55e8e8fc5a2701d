# libevent's own programs, unmodified, each built twice: bin/stock/<name> on libevent's libraries
# (target stock-<name>) and bin/iocp/<name> on ours (target iocp-<name>).

include(CheckSymbolExists)

set(PROGRAM_STOCK_LIBRARIES event_extra_static event_core_static)
set(PROGRAM_IOCP_LIBRARIES libevent_iocp::extra libevent_iocp::core)
set(PROGRAM_LIBRARIES ${LIBEVENT_LIB_PLATFORM} iphlpapi)
if(ZLIB_FOUND)
    list(APPEND PROGRAM_LIBRARIES ZLIB::ZLIB)
endif()
if(LIBEVENT_IOCP_OPENSSL)
    list(PREPEND PROGRAM_STOCK_LIBRARIES event_openssl_static)
    list(PREPEND PROGRAM_IOCP_LIBRARIES libevent_iocp::openssl)
    list(APPEND PROGRAM_LIBRARIES OpenSSL::SSL OpenSSL::Crypto crypt32 ws2_32)
endif()

# libevent_program(<name> <source>...): compiled once, linked with either set of libraries.
function(libevent_program name)
    list(TRANSFORM ARGN PREPEND "${LIBEVENT_SOURCE_DIR}/" OUTPUT_VARIABLE sources)
    add_library(program-${name} OBJECT ${sources})
    libevent_flags(program-${name})
    target_compile_definitions(program-${name} PRIVATE TINYTEST_LOCAL)
    target_include_directories(program-${name} PRIVATE "${LIBEVENT_SOURCE_DIR}/test")
    target_link_libraries(program-${name} PRIVATE ${PROGRAM_LIBRARIES})
    foreach(kind stock iocp)
        string(TOUPPER ${kind} KIND)
        set(target ${kind}-${name})
        add_executable(${target} $<TARGET_OBJECTS:program-${name}>)
        target_link_libraries(${target} PRIVATE ${PROGRAM_${KIND}_LIBRARIES} ${PROGRAM_LIBRARIES})
        set_target_properties(${target} PROPERTIES
            OUTPUT_NAME ${name}
            LINKER_LANGUAGE C
            RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/${kind}")
    endforeach()
endfunction()

foreach(name event-read-fifo hello-world signal-test http-connect time-test)
    libevent_program(${name} sample/${name}.c)
endforeach()
foreach(name dns-example http-server)
    libevent_program(${name} sample/${name}.c ${LIBEVENT_WIN32_GETOPT})
endforeach()
if(LIBEVENT_IOCP_OPENSSL)
    # 2.2.1 takes strndup from MinGW-w64; Debian 12's has none.
    file(STRINGS "${LIBEVENT_SOURCE_DIR}/sample/https-client.c" relies_on_it REGEX "_WIN32.*__MINGW32__" LIMIT_COUNT 1)
    check_symbol_exists(strndup string.h LIBEVENT_IOCP_HAS_STRNDUP)
    if(MINGW AND relies_on_it AND NOT LIBEVENT_IOCP_HAS_STRNDUP)
        message(STATUS "No strndup: libevent's https-client is left out")
    else()
        libevent_program(https-client
            sample/https-client.c sample/openssl_hostname_validation.c sample/hostcheck.c)
    endif()
    libevent_program(le-proxy sample/le-proxy.c)
endif()

foreach(name bench_http bench_httpclient)
    libevent_program(${name} test/${name}.c)
endforeach()
foreach(name bench bench_cascade)
    libevent_program(${name} test/${name}.c ${LIBEVENT_WIN32_GETOPT})
endforeach()

foreach(name changelist closed dumpevents eof fdleak init ratelim time weof)
    libevent_program(test-${name} test/test-${name}.c)
endforeach()

# regress.gen.c is part of libevent's releases; for a checkout it is made here.
set(generated "${LIBEVENT_SOURCE_DIR}/test/regress.gen.c")
if(NOT EXISTS "${generated}")
    set(generated)
    find_package(Python3 COMPONENTS Interpreter)
    if(Python3_FOUND)
        set(generated "${PROJECT_BINARY_DIR}/regress.gen/regress.gen.c")
        add_custom_command(OUTPUT "${generated}" BYPRODUCTS "${PROJECT_BINARY_DIR}/regress.gen/regress.gen.h"
            COMMAND ${Python3_EXECUTABLE} "${LIBEVENT_SOURCE_DIR}/event_rpcgen.py" --quiet
                "${LIBEVENT_SOURCE_DIR}/test/regress.rpc" regress.gen.h regress.gen.c
            WORKING_DIRECTORY "${PROJECT_BINARY_DIR}/regress.gen"
            DEPENDS "${LIBEVENT_SOURCE_DIR}/test/regress.rpc"
            VERBATIM)
        file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/regress.gen")
    endif()
endif()
if(generated)
    set(names main buffer bufferevent dns et finalize http iocp listener minheap rpc testutils
        thread util)
    foreach(name IN LISTS LIBEVENT_REGRESS_FILES)
        if(EXISTS "${LIBEVENT_SOURCE_DIR}/test/regress_${name}.c")
            list(APPEND names ${name})
        endif()
    endforeach()
    if(ZLIB_FOUND)
        list(APPEND names zlib)
    endif()
    if(LIBEVENT_IOCP_OPENSSL AND EXISTS "${LIBEVENT_SOURCE_DIR}/test/regress_openssl.c")
        list(APPEND names openssl) # includes regress_ssl.c
    elseif(LIBEVENT_IOCP_OPENSSL)
        list(APPEND names ssl)
    endif()
    list(TRANSFORM names PREPEND test/regress_)
    list(TRANSFORM names APPEND .c)
    libevent_program(regress test/regress.c test/tinytest.c ${names})
    target_sources(program-regress PRIVATE "${generated}")
    target_include_directories(program-regress PRIVATE "${PROJECT_BINARY_DIR}/regress.gen")
    # Once more with every base on the port, as a program may ask by defining iocp_every_base.
    add_executable(every-regress $<TARGET_OBJECTS:program-regress> "${LIBEVENT_IOCP_DIR}/regress/every_base.c")
    target_link_libraries(every-regress PRIVATE ${PROGRAM_IOCP_LIBRARIES} ${PROGRAM_LIBRARIES})
    set_target_properties(every-regress PROPERTIES
        OUTPUT_NAME regress
        LINKER_LANGUAGE C
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/every")
    # For comparison, with libevent's own IOCP in every base. Only GNU's linker and LLVM's can wrap a function.
    if(MINGW)
        add_executable(stock-every-regress
            $<TARGET_OBJECTS:program-regress> "${LIBEVENT_IOCP_DIR}/regress/stock_every_base.c")
        target_include_directories(stock-every-regress PRIVATE
            $<TARGET_PROPERTY:program-regress,INCLUDE_DIRECTORIES>)
        target_link_libraries(stock-every-regress PRIVATE ${PROGRAM_STOCK_LIBRARIES} ${PROGRAM_LIBRARIES}
            -Wl,--wrap=event_base_new,--wrap=event_base_new_with_config,--wrap=event_init)
        set_target_properties(stock-every-regress PROPERTIES
            OUTPUT_NAME regress
            LINKER_LANGUAGE C
            RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/stock-every")
    endif()
else()
    message(WARNING "${LIBEVENT_SOURCE_DIR}/test has no regress.gen.c, and no Python is found to make it: "
        "no regress suite")
endif()
