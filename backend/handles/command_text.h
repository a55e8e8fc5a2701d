// What CreateProcess takes a child's command line and environment as, made of what a program has them as.
//
// Each returns memory of mm_malloc's, or NULL with the error set: WSAENOBUFS, WSAEINVAL for what cannot be, or
// ERROR_NO_UNICODE_TRANSLATION.
#ifndef LIBEVENT_IOCP_BACKEND_COMMAND_TEXT_H
#define LIBEVENT_IOCP_BACKEND_COMMAND_TEXT_H

#include "compat/libevent.h"

namespace iocp {

// With its 0 at the end; more is ERROR_FILENAME_EXCED_RANGE.
constexpr size_t max_command_units = 32767;

// One line, which the C runtime of Microsoft's (and CommandLineToArgvW) takes apart into `argv` again.
wchar_t *command_join(const char *const *argv, int *error);
// Sorted by name without regard to case, as Windows wants it, each with its 0, and one more at the end.
wchar_t *command_environment(const char *const *entries, int *error);

// A batch file, by its name, or a path that may lead to one: CreateProcess leaves it to cmd.exe, which reads the rest
// by rules of its own.
bool command_is_batch(const char *program);

} // namespace iocp

#endif
