#include "file.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

namespace parity {

namespace {

constexpr int file_id = 90;
constexpr size_t file_size = 30000;

// Made once, and gone with the process.
const char *file_path()
{
    static char path[MAX_PATH + 40];
    if (path[0] != '\0')
        return path;
    char folder[MAX_PATH];
    GetTempPathA(sizeof(folder), folder);
    snprintf(path, sizeof(path), "%sparity-%lu.tmp", folder, GetCurrentProcessId());
    std::string data(file_size, '\0');
    for (size_t i = 0; i < data.size(); ++i)
        data[i] = stream_byte(file_id, i);
    int file = _open(path, _O_CREAT | _O_TRUNC | _O_RDWR | _O_BINARY | _O_TEMPORARY, 0600);
    _write(file, data.data(), static_cast<unsigned>(data.size()));
    return path;
}

} // namespace

void add_file(subject *on, struct evbuffer *output, bool by_segment, size_t bytes)
{
    size_t offset = bytes % 5000;
    size_t length = bytes < file_size - offset ? bytes : file_size - offset;
    size_t before = evbuffer_get_length(output);
    const char *path = file_path();
    int file = _open(path, _O_RDONLY | _O_BINARY | _O_TEMPORARY);
    int failed = 0;
    if (by_segment) {
        struct evbuffer_file_segment *segment =
            evbuffer_file_segment_new(file, 0, static_cast<ev_off_t>(file_size), EVBUF_FS_CLOSE_ON_FREE);
        failed = segment == nullptr ||
                 evbuffer_add_file_segment(output, segment, static_cast<ev_off_t>(offset),
                                           static_cast<ev_off_t>(length / 2)) ||
                 evbuffer_add_file_segment(output, segment, static_cast<ev_off_t>(offset + length / 2),
                                           static_cast<ev_off_t>(length - length / 2));
        if (segment != nullptr)
            evbuffer_file_segment_free(segment);
    } else {
        failed = evbuffer_add_file(output, file, static_cast<ev_off_t>(offset), static_cast<ev_off_t>(length));
    }
    if (failed != 0 || evbuffer_get_length(output) != before + length) {
        on->wrong += " cannot add a file;";
        return;
    }
    std::string added(length, '\0');
    struct evbuffer_ptr position;
    evbuffer_ptr_set(output, &position, before, EVBUFFER_PTR_SET);
    evbuffer_copyout_from(output, &position, &added[0], added.size());
    for (size_t i = 0; i < length; ++i)
        if (added[i] != stream_byte(file_id, offset + i)) {
            on->wrong += " a file's bytes;";
            break;
        }
}

} // namespace parity
