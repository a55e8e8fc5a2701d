#include "support/mapped_file.h"

#include "support/check.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>

#include "compat/libevent.h"

namespace iocp {

void add_mapped_file(struct evbuffer *to, const std::string &bytes)
{
    static int made; // libevent leaves a handle of each mapping open
    char folder[MAX_PATH], path[MAX_PATH + 40];
    assert_true(GetTempPathA(sizeof(folder), folder) != 0);
    snprintf(path, sizeof(path), "%smapped-%lu-%d.tmp", folder, GetCurrentProcessId(), made++);
    int file = _open(path, _O_CREAT | _O_TRUNC | _O_RDWR | _O_BINARY | _O_TEMPORARY, 0600);
    assert_int_equal(_write(file, bytes.data(), static_cast<unsigned>(bytes.size())), bytes.size());
    assert_int_equal(evbuffer_add_file(to, file, 0, static_cast<ev_off_t>(bytes.size())), 0);
}

} // namespace iocp
