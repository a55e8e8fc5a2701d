// What sys*.cpp share: the thread's last error, and the codes of three layers turned into Winsock's. Nobody else includes
// this.
#ifndef LIBEVENT_IOCP_COMPAT_SYS_ERROR_H
#define LIBEVENT_IOCP_COMPAT_SYS_ERROR_H

#include "compat/win.h"

namespace iocp {
namespace sys {

// What a function of Win32 that has failed has left as its error; never 0, which a driver may leave.
inline int last_win32_code()
{
    auto error = static_cast<int>(GetLastError());
    return error != 0 ? error : ERROR_GEN_FAILURE;
}

// The Winsock code for whatever a function of Winsock has left as its error.
int winsock_code(int error);
// The same of the thread's last error, which is one.
int last_winsock_code();

} // namespace sys
} // namespace iocp

#endif
