#include "layered.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>

#include <memory>

namespace parity {

namespace {

constexpr ULONGLONG hang_ms = 20000;
constexpr int quick_turns = 6;
constexpr int program_id = 70;

layered *world_of(void *argument)
{
    return static_cast<layered *>(argument);
}

void on_tick(evutil_socket_t, short, void *)
{
}

void turn(layered *w, bool wait)
{
    if (!wait) {
        event_base_loop(w->base, EVLOOP_NONBLOCK);
        return;
    }
    struct timeval millisecond = {0, 1000};
    event_add(w->tick, &millisecond);
    event_base_loop(w->base, EVLOOP_ONCE);
    event_del(w->tick);
}

void on_read(struct bufferevent *bev, void *argument)
{
    auto *self = static_cast<layer_end *>(argument);
    self->was_read = true;
    if (self->bev != bev) {
        self->of->wrong += " read callback after free;";
        return;
    }
    if (self->takes) {
        struct evbuffer *input = bufferevent_get_input(bev);
        self->taken += evbuffer_get_length(input);
        evbuffer_drain(input, evbuffer_get_length(input));
    }
    if (self->hook == 1 && self->of->how == stack::pair)
        bufferevent_disable(bev, EV_READ);
    if (self->hook == 2 && self->of->how == stack::pair) {
        self->bev = nullptr;
        bufferevent_free(bev);
    }
    if (self->hook != 3)
        self->hook = 0;
}

void free_end(layer_end *self);

void on_event(struct bufferevent *bev, short what, void *argument)
{
    auto *self = static_cast<layer_end *>(argument);
    if (self->bev != bev) {
        self->of->wrong += " event callback after free;";
        return;
    }
    if (self->of->on.was_reset && (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        self->events = " reset"; // who meets it first is chance
    else
        self->events += " " + std::to_string(what);
    if (self->hook == 3 && !self->of->on.was_reset) {
        self->hook = 0;
        free_end(self);
    }
}

// What has come to the socket's bufferevent and to a pair's, and left it.
void on_below_input(struct evbuffer *, const struct evbuffer_cb_info *info, void *argument)
{
    world_of(argument)->on.read += info->n_added;
}

void on_below_output(struct evbuffer *, const struct evbuffer_cb_info *info, void *argument)
{
    world_of(argument)->left += info->n_deleted;
}

bool peer_is_open(const layered *w)
{
    return w->has_socket && w->on.far_end != INVALID_SOCKET && !w->on.far_ended;
}

bool is_quiet(layered *w, std::string *why)
{
    while (peer_is_open(w) && (w->got.size() < w->left || w->on.near_closed) && peer_receive(&w->on, &w->got))
        continue;
    if (w->expected.compare(0, w->got.size(), w->got) != 0)
        w->wrong += " wrong bytes sent;";
    *why = "the peer";
    if (peer_is_open(w) && (w->got.size() < w->left || w->on.near_closed))
        return false;
    *why = "the socket";
    if (w->has_socket && w->below != nullptr) {
        bool something = w->on.read < w->on.sent || w->on.finished || w->on.was_reset;
        if (event_pending(&w->below->ev_write, EV_WRITE, nullptr) ||
            (something && event_pending(&w->below->ev_read, EV_READ, nullptr)))
            return false;
    }
    *why = "callbacks";
    return event_base_get_num_events(w->base, EVENT_BASE_COUNT_ACTIVE) == 0;
}

// A socket that is closed with input unread sends a reset, on Windows and Wine 10; which of the two its peer meets
// first is chance then.
bool peer_saw_an_end(const layered *w)
{
    return w->on.far_ended && (!w->on.far_reset || w->on.read < w->on.sent);
}

std::string log_of(layer_end *self)
{
    std::string line = "end " + std::to_string(self->index) + ":" + self->events;
    line += self->was_read && !self->blurred ? " read" : "";
    self->was_read = false;
    self->events.clear();
    if (self->bev == nullptr)
        return line + " none";
    size_t in = evbuffer_get_length(bufferevent_get_input(self->bev));
    line += " read=" + std::to_string(self->taken + in);
    if (!self->blurred)
        line += " in=" + std::to_string(in);
    line += " out=" + std::to_string(evbuffer_get_length(bufferevent_get_output(self->bev)));
    return line + " enabled=" + std::to_string(bufferevent_get_enabled(self->bev));
}

void log_step(layered *w)
{
    for (layer_end &one : w->ends)
        w->out.lines.push_back(log_of(&one));
    if (w->has_socket)
        w->out.lines.push_back("socket: read=" + std::to_string(w->on.read) +
                               " received=" + std::to_string(w->on.was_reset ? 0 : w->got.size()) +
                               (peer_saw_an_end(w) ? " ended" : ""));
    if (!w->wrong.empty())
        w->out.lines.push_back("WRONG:" + w->wrong);
}

void sync(layered *w)
{
    std::string why;
    ULONGLONG give_up = 0;
    int quiet_turns = 0;
    for (int i = 0; quiet_turns < 2 && !w->out.hung; ++i) {
        turn(w, i > quick_turns && quiet_turns == 0);
        quiet_turns = is_quiet(w, &why) ? quiet_turns + 1 : 0;
        ULONGLONG now = GetTickCount64();
        if (give_up == 0)
            give_up = now + hang_ms;
        w->out.hung = quiet_turns == 0 && now > give_up;
    }
    if (w->out.hung)
        w->out.lines.push_back("HANGS: " + why);
    log_step(w);
}

void free_end(layer_end *self)
{
    layered *w = self->of;
    struct bufferevent *freed = self->bev;
    self->bev = nullptr;
    if (self->index == 0 && w->below_ends_with_top) {
        w->below = nullptr;
        w->on.near_closed = w->has_socket && w->closes_socket;
    }
    bufferevent_free(freed);
}

void write(layer_end *self, int bytes)
{
    std::string data(static_cast<size_t>(bytes), '\0');
    for (size_t i = 0; i < data.size(); ++i)
        data[i] = stream_byte(program_id, self->written + i);
    self->written += data.size();
    bufferevent_write(self->bev, data.data(), data.size());
}

void apply_to_peer(layered *w, const operation &what)
{
    if (!peer_is_open(w))
        return;
    if (what.kind == op_kind::peer_reset) {
        sync(w); // what had come by then would be chance
        if (peer_is_open(w))
            peer_reset(&w->on);
    } else if (!w->on.finished && what.kind == op_kind::peer_send) {
        peer_send(&w->on, what.a, what.b);
    } else if (!w->on.finished) {
        peer_finish(&w->on);
    }
}

void apply_to_end(layer_end *self, const operation &what)
{
    layered *w = self->of;
    struct bufferevent *which = what.b != 0 && self->index == 0 && w->below != nullptr ? w->below : self->bev;
    switch (what.kind) {
    case op_kind::layer_write:
        write(self, what.a);
        break;
    case op_kind::layer_enable:
        bufferevent_enable(which, static_cast<short>(what.a));
        break;
    case op_kind::layer_disable:
        bufferevent_disable(which, static_cast<short>(what.a));
        break;
    case op_kind::layer_watermark:
        if (!self->takes)
            break;
        bufferevent_setwatermark(self->bev, EV_READ, static_cast<size_t>(what.a), static_cast<size_t>(what.b));
        self->blurred = w->has_socket;
        break;
    case op_kind::layer_flush:
        w->out.lines.push_back("flush: " +
                               std::to_string(bufferevent_flush(self->bev, static_cast<short>(what.a),
                                                                static_cast<enum bufferevent_flush_mode>(what.b))));
        break;
    case op_kind::layer_take:
        self->takes = what.a != 0 || self->blurred;
        if (!self->takes)
            bufferevent_setwatermark(self->bev, EV_READ, 0, 0);
        break;
    case op_kind::layer_way:
        w->ways[what.b] = static_cast<filter_way>(what.a);
        break;
    case op_kind::layer_hook:
        self->hook = what.a;
        break;
    default:
        free_end(self);
        break;
    }
}

void apply(layered *w, const operation &what)
{
    if (what.kind == op_kind::sync)
        sync(w);
    else if (what.kind < op_kind::layer_write)
        apply_to_peer(w, what);
    else if (w->ends[what.subject].bev != nullptr)
        apply_to_end(&w->ends[what.subject], what);
}

bool make_below(layered *w, const script &of)
{
    struct bufferevent *two[2] = {nullptr, nullptr};
    if (w->how == stack::filter_over_socket) {
        w->has_socket = true;
        w->on.ipv6 = has_ipv6() && of.ipv6 != 0;
        w->closes_socket = (of.options[1] & BEV_OPT_CLOSE_ON_FREE) != 0;
        if (!connection_make(&w->on, 7))
            return false;
        w->below = bufferevent_socket_new(w->base, static_cast<evutil_socket_t>(w->on.near_end), of.options[1]);
        evbuffer_add_cb(bufferevent_get_input(w->below), on_below_input, w);
        evbuffer_add_cb(bufferevent_get_output(w->below), on_below_output, w);
        return w->below != nullptr;
    }
    if (bufferevent_pair_new(w->base, of.options[1], two) != 0)
        return false;
    (w->how == stack::pair ? w->ends[0].bev : w->below) = two[0];
    w->ends[1].bev = two[1];
    return true;
}

bool begin(layered *w, const script &of, base_kind kind)
{
    w->base = new_base(kind, of.locks, 1);
    if (w->base == nullptr)
        return false;
    w->tick = evtimer_new(w->base, on_tick, nullptr);
    w->how = static_cast<stack>(of.layers);
    if (!make_below(w, of))
        return false;
    if (w->below != nullptr) {
        w->ends[0].bev = bufferevent_filter_new(w->below, comes_in, goes_out, of.options[0], nullptr, w);
        w->below_ends_with_top = (of.options[0] & BEV_OPT_CLOSE_ON_FREE) != 0;
    }
    for (int i = 0; i < 2; ++i) {
        layer_end *one = &w->ends[i];
        one->of = w;
        one->index = i;
        one->takes = true;
        if (one->bev != nullptr)
            bufferevent_setcb(one->bev, on_read, nullptr, on_event, one);
    }
    return w->ends[0].bev != nullptr;
}

void end(layered *w)
{
    for (layer_end &one : w->ends)
        if (one.bev != nullptr)
            free_end(&one);
    if (w->below != nullptr) {
        bufferevent_free(w->below);
        w->below = nullptr;
        w->on.near_closed = w->has_socket && w->closes_socket;
    }
    if (!w->out.hung)
        sync(w);
    if (w->has_socket && !w->closes_socket)
        evutil_closesocket(static_cast<evutil_socket_t>(w->on.near_end));
    if (w->has_socket && w->on.far_end != INVALID_SOCKET)
        closesocket(w->on.far_end);
    event_free(w->tick);
    event_base_free(w->base);
}

} // namespace

trace run_layers(const script &of, base_kind kind)
{
    auto w = std::make_unique<layered>();
    if (!begin(w.get(), of, kind)) {
        w->out.lines.push_back("cannot begin");
        w->out.hung = true;
        return w->out;
    }
    for (const operation &next : of.operations)
        if (!w->out.hung)
            apply(w.get(), next);
    end(w.get());
    return w->out;
}

} // namespace parity
