#include "layered.h"

namespace parity {

namespace {

constexpr size_t held_unit = 64; // a filter that holds back passes multiples of it
enum bufferevent_filter_result pass(layered *w, filter_way way, struct evbuffer *from, struct evbuffer *to,
                                    ev_ssize_t limit, enum bufferevent_flush_mode mode, bool comes)
{
    size_t length = evbuffer_get_length(from);
    // Over a socket, what a filter leaves for the limit's sake would depend on how the bytes are cut up on their way.
    if (!w->has_socket && limit >= 0 && length > static_cast<size_t>(limit))
        length = static_cast<size_t>(limit);
    if (way == filter_way::holds_back && mode == BEV_NORMAL)
        length -= length % held_unit;
    if (length == 0)
        return BEV_NEED_MORE;
    std::string data(length, '\0');
    evbuffer_remove(from, &data[0], length);
    for (size_t i = 0; i < length; ++i) {
        if (comes && w->has_socket && data[i] != stream_byte(w->on.id, w->came + i))
            w->wrong += w->wrong.empty() ? " wrong bytes;" : "";
        if (way == filter_way::changes)
            data[i] = static_cast<char>(data[i] ^ 0x20);
    }
    if (comes)
        w->came += length;
    else
        w->expected += data;
    evbuffer_add(to, data.data(), length);
    return BEV_OK;
}

} // namespace

enum bufferevent_filter_result comes_in(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
                                        enum bufferevent_flush_mode mode, void *argument)
{
    auto *w = static_cast<layered *>(argument);
    return pass(w, w->ways[0], from, to, limit, mode, true);
}

enum bufferevent_filter_result goes_out(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
                                        enum bufferevent_flush_mode mode, void *argument)
{
    auto *w = static_cast<layered *>(argument);
    return pass(w, w->ways[1], from, to, limit, mode, false);
}

} // namespace parity
