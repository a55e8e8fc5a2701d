# A module such as many projects carry: headers and the libraries by their file names, nothing else.
find_path(LIBEVENT_INCLUDE_DIR NAMES event2/event.h)
set(LIBEVENT_LIBRARIES)
foreach(name event_extra event_core)
    find_library(LIBEVENT_${name}_LIBRARY NAMES ${name} lib${name})
    list(APPEND LIBEVENT_LIBRARIES ${LIBEVENT_${name}_LIBRARY})
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libevent DEFAULT_MSG
    LIBEVENT_event_extra_LIBRARY LIBEVENT_event_core_LIBRARY LIBEVENT_INCLUDE_DIR)
