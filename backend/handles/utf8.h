// Between UTF-8 and the 16-bit units that Windows has its texts as.
#ifndef LIBEVENT_IOCP_BACKEND_HANDLES_UTF8_H
#define LIBEVENT_IOCP_BACKEND_HANDLES_UTF8_H

#include <stddef.h>

namespace iocp {

// A name of a file need not be UTF-16: where halves of surrogate pairs are kept, one that stands alone is three bytes, as if
// it were a character (WTF-8). So every name has a form of its own and comes back from it.
enum class utf8_halves { refused, kept };

// They are kept. `units`: so many 16-bit units, at any address. Returns how many bytes they are, and writes them if `into`
// is not NULL; no 0 behind.
size_t utf8_from_units(const void *units, size_t count, char *into);

constexpr size_t utf8_invalid = ~size_t{0};
// The other way; `text` ends with a 0, which is not counted, nor written. utf8_invalid: it is no UTF-8, nor the above.
size_t utf8_to_units(const char *text, utf8_halves halves, wchar_t *into);

// That with its 0, in memory of mm_malloc's; or NULL, and the error: ERROR_NO_UNICODE_TRANSLATION or WSAENOBUFS.
wchar_t *utf8_widen(const char *text, utf8_halves halves, int *error);

} // namespace iocp

#endif
