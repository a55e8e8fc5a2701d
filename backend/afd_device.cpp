#include "backend/afd_device.h"

namespace iocp {

namespace {

int afd_device_open(port *on, HANDLE *handle)
{
    int error = sys::afd_open(handle);
    if (error != 0)
        return error;
    error = port_associate(on, *handle);
    if (error == 0)
        error = sys::skip_packet_on_success(*handle, sys::handle_signal::never);
    if (error != 0)
        sys::close_handle(*handle);
    return error;
}

} // namespace

int afd_device_acquire(afd_device_list *devices, port *on, afd_device **acquired)
{
    afd_device *device;
    // Usually the first has room; all are looked at only when one more is about to be opened.
    LIST_FOREACH (device, devices, listed)
        if (device->polls < max_polls_per_device)
            break;
    if (device != nullptr) {
        LIST_REMOVE(device, listed);
        LIST_INSERT_HEAD(devices, device, listed);
        ++device->polls;
        *acquired = device;
        return 0;
    }
    device = static_cast<afd_device *>(mm_calloc(1, sizeof(*device)));
    if (device == nullptr)
        return WSAENOBUFS;
    int error = afd_device_open(on, &device->handle);
    if (error != 0) {
        mm_free(device);
        return error;
    }
    device->polls = 1;
    LIST_INSERT_HEAD(devices, device, listed);
    *acquired = device;
    return 0;
}

void afd_device_release(afd_device *device)
{
    EVUTIL_ASSERT(device->polls > 0);
    --device->polls;
}

void afd_device_close_all(afd_device_list *devices)
{
    while (!LIST_EMPTY(devices)) {
        afd_device *device = LIST_FIRST(devices);
        LIST_REMOVE(device, listed);
        EVUTIL_ASSERT(device->polls == 0);
        sys::close_handle(device->handle);
        mm_free(device);
    }
}

} // namespace iocp
