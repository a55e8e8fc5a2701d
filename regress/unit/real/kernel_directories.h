// What the kernel tells of directories, asked without the library.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_KERNEL_DIRECTORIES_H
#define LIBEVENT_IOCP_REGRESS_REAL_KERNEL_DIRECTORIES_H

#include <string>

namespace real {

// Wine 8 sees into directories that are made while it watches, and into no others. `older` is one in the folder.
bool kernel_sees_into(const std::wstring &older);
// Wine tells of it nowhere, Windows within the call that deletes. `doomed` is made first.
bool kernel_tells_of_deletion(const std::wstring &doomed);

} // namespace real

#endif
