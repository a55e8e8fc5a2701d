#include "own_parts.h"

namespace parity {

struct event_base *base_on_select()
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_avoid_method(config, "iocp");
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

bool handle_is_open(HANDLE handle)
{
    DWORD flags;
    return GetHandleInformation(handle, &flags) != FALSE;
}

bool write_by_hand(HANDLE pipe, const std::string &bytes)
{
    DWORD written = 0;
    return WriteFile(pipe, bytes.data(), static_cast<DWORD>(bytes.size()), &written, nullptr) &&
           written == bytes.size();
}

bool read_by_hand(struct event_base *base, HANDLE pipe, std::string *got, size_t length)
{
    return happens(base, [&] {
        char bytes[4096];
        DWORD there = 0, count = 0;
        if (got->size() < length && PeekNamedPipe(pipe, nullptr, 0, nullptr, &there, nullptr) && there > 0 &&
            ReadFile(pipe, bytes, sizeof(bytes), &count, nullptr))
            got->append(bytes, count);
        return got->size() >= length;
    });
}

} // namespace parity
