// Names of files between UTF-8 and the 16-bit units of Windows, which need not be UTF-16: an unpaired surrogate is
// written as three bytes, as if it were a character (WTF-8). So every name has a form of its own and comes back from it.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLES_UTF8_NAME_H
#define LIBEVENT_IOCP_BACKEND_HANDLES_UTF8_NAME_H

#include <stddef.h>

namespace iocp {

// `units`: so many 16-bit units, at any address. Returns how many bytes they are, and writes them if `into` is not NULL;
// no 0 behind.
size_t utf8_from_units(const void *units, size_t count, char *into);

constexpr size_t utf8_invalid = ~size_t{0};
// The other way; `text` ends with a 0, which is not counted, nor written. utf8_invalid: it is no UTF-8, nor the above.
size_t utf8_to_units(const char *text, wchar_t *into);

} // namespace iocp

#endif
