#include "backend/afd_device.h"

namespace iocp {

namespace {

int open_device(port *on, HANDLE *handle)
{
    int error = sys::afd_open(handle);
    if (error != 0)
        return error;
    error = port_associate(on, *handle);
    if (error == 0)
        error = sys::skip_packet_on_success(*handle);
    if (error != 0)
        sys::close_handle(*handle);
    return error;
}

} // namespace

int afd_device_acquire(afd_device **devices, port *on, afd_device **acquired)
{
    afd_device *device = *devices;
    // Usually the first has room; all are looked at only when one more is about to be opened.
    for (afd_device **link = devices; device != nullptr; link = &device->next, device = device->next) {
        if (device->polls < max_polls_per_device) {
            *link = device->next;
            device->next = *devices;
            *devices = device;
            ++device->polls;
            *acquired = device;
            return 0;
        }
    }
    device = static_cast<afd_device *>(mm_calloc(1, sizeof(*device)));
    if (device == nullptr)
        return WSAENOBUFS;
    int error = open_device(on, &device->handle);
    if (error != 0) {
        mm_free(device);
        return error;
    }
    device->polls = 1;
    device->next = *devices;
    *devices = device;
    *acquired = device;
    return 0;
}

void afd_device_release(afd_device *device)
{
    EVUTIL_ASSERT(device->polls > 0);
    --device->polls;
}

void afd_device_close_all(afd_device **devices)
{
    while (*devices != nullptr) {
        afd_device *device = *devices;
        *devices = device->next;
        EVUTIL_ASSERT(device->polls == 0);
        sys::close_handle(device->handle);
        mm_free(device);
    }
}

} // namespace iocp
