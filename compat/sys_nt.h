// The NT calls that have no Win32 form, found in ntdll at startup. Only sys*.cpp include this.
#ifndef LIBEVENT_IOCP_COMPAT_SYS_NT_H
#define LIBEVENT_IOCP_COMPAT_SYS_NT_H

#include "compat/win.h"

namespace iocp {
namespace sys {

// winternl.h declares these differently in the Windows SDK and in mingw; their layout is fixed by the kernel.
struct unicode_string {
    USHORT length;
    USHORT capacity;
    wchar_t *text;
};

struct object_attributes {
    ULONG size;
    HANDLE root;
    unicode_string *name;
    ULONG flags;
    void *security;
    void *quality;
};

struct io_status_block {
    union {
        nt_status status;
        void *pointer;
    };
    ULONG_PTR information;
};

struct file_completion_information {
    HANDLE port;
    void *key;
};

constexpr ULONG nt_file_open = 1;

struct nt_calls {
    nt_status(NTAPI *create_file)(HANDLE *, ACCESS_MASK, object_attributes *, io_status_block *, LARGE_INTEGER *, ULONG,
                                  ULONG, ULONG, ULONG, void *, ULONG);
    nt_status(NTAPI *device_io_control_file)(HANDLE, HANDLE, void *, void *, io_status_block *, ULONG, void *, ULONG,
                                             void *, ULONG);
    ULONG(NTAPI *status_to_dos_error)(nt_status);
    nt_status(NTAPI *remove_io_completion_ex)(HANDLE, OVERLAPPED_ENTRY *, ULONG, ULONG *, LARGE_INTEGER *, BOOLEAN);
    nt_status(NTAPI *set_information_file)(HANDLE, io_status_block *, void *, ULONG, ULONG);
    nt_status(NTAPI *query_information_file)(HANDLE, io_status_block *, void *, ULONG, ULONG);
    nt_status(NTAPI *query_object)(HANDLE, ULONG, void *, ULONG, ULONG *);
    // From Windows 8 on, and all three or none.
    nt_status(NTAPI *create_wait_packet)(HANDLE *, ACCESS_MASK, object_attributes *);
    nt_status(NTAPI *associate_wait_packet)(HANDLE, HANDLE, HANDLE, void *, void *, nt_status, ULONG_PTR, BOOLEAN *);
    nt_status(NTAPI *cancel_wait_packet)(HANDLE, BOOLEAN);
};

// True while some base wants precise timers.
bool clock_is_precise();

// Filled by startup(); call nothing through it before.
const nt_calls &nt();

} // namespace sys
} // namespace iocp

#endif
