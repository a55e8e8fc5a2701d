// What sys*.cpp share to turn the codes of three layers into Winsock's. Nobody else includes this.
#ifndef LIBEVENT_IOCP_COMPAT_SYS_ERROR_H
#define LIBEVENT_IOCP_COMPAT_SYS_ERROR_H

namespace iocp {
namespace sys {

// The Winsock code for whatever a function of Winsock has left as its error.
int winsock_code(int error);
// The same of the thread's last error, which is one.
int last_winsock_code();

} // namespace sys
} // namespace iocp

#endif
