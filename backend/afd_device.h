// AFD handles to poll through. Cancelling a poll searches the polls outstanding on its handle, so a handle is shared by
// few (the figure is wepoll's and mio's experience).
#ifndef LIBEVENT_IOCP_BACKEND_AFD_DEVICE_H
#define LIBEVENT_IOCP_BACKEND_AFD_DEVICE_H

#include "backend/port.h"

namespace iocp {

constexpr unsigned max_polls_per_device = 32;

LIST_HEAD(afd_device_list, afd_device);

struct afd_device {
    LIST_ENTRY(afd_device) listed; // devices with room come first
    HANDLE handle;
    unsigned polls; // polls that use it
};

// Finds room for one poll, opening a device and associating it with the port if need be. 0 or a Winsock code.
int afd_device_acquire(afd_device_list *devices, port *on, afd_device **acquired);
void afd_device_release(afd_device *device);
// No poll may be outstanding.
void afd_device_close_all(afd_device_list *devices);

} // namespace iocp

#endif
