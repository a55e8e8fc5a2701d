// The one place where our C++ includes Windows's headers: in the order they need, with the version macros they read.
// (What is forced into libevent's C sources, *_slot.h, and dll/ include what they need themselves, winsock2.h first.)
#ifndef LIBEVENT_IOCP_COMPAT_WIN_H
#define LIBEVENT_IOCP_COMPAT_WIN_H

// GetQueuedCompletionStatusEx, CancelIoEx and SetFileCompletionNotificationModes came with Windows Vista.
#if !defined(_WIN32_WINNT) || _WIN32_WINNT < 0x0600
#undef _WIN32_WINNT
#define _WIN32_WINNT 0x0600
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif

#include <winsock2.h>
// winsock2.h comes first: windows.h alone would bring in the old winsock.h.
#include <ws2tcpip.h>

#include <mswsock.h>
#include <windows.h>

// NTSTATUS lives in headers that differ between the Windows SDK and mingw.
using nt_status = LONG;

#endif
