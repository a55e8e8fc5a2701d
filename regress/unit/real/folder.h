// A folder of the process's own among the temporary files, for tests that need real files.
#ifndef LIBEVENT_IOCP_REGRESS_REAL_FOLDER_H
#define LIBEVENT_IOCP_REGRESS_REAL_FOLDER_H

#include <string>

namespace real {

extern std::wstring folder;

// Empty, whatever a process of this number has left there.
void make_folder();
void remove_folder();

std::wstring in_folder(const std::wstring &name);
void write_file(const std::wstring &path);
std::string utf8(const std::wstring &wide);

} // namespace real

#endif
