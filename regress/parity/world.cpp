#include "world.h"
#include "blocks.h"
#include "layers.h"
#include "peer_pipe.h"
#include "plain_events.h"
#include "serving.h"
#include "sharing.h"
#include "world_state.h"

#include <memory>

namespace parity {

namespace {

void on_tick(evutil_socket_t, short, void *)
{
}

bool begin(world *w, const script &of)
{
    w->base = new_base(w->kind, of.locks, 3);
    if (w->base == nullptr)
        return false;
    w->tick = evtimer_new(w->base, on_tick, nullptr);
    // The base has room for some timers then: where it finds none, libevent's rate limits lose one without a word.
    const struct timeval later = {60, 0};
    if (w->tick == nullptr || event_add(w->tick, &later) != 0 || event_del(w->tick) != 0)
        return false;
    w->subject_count = of.subjects;
    w->ipv6 = has_ipv6() ? of.ipv6 : 0;
    w->of_pipes = of.about == flavour::pipes;
    w->over_pipes = w->of_pipes && w->kind == base_kind::iocp;
    for (int i = 0; i < max_connections; ++i)
        w->forms[i] = form_of_pipe(of, i);
    for (int i = 0; i < of.subjects; ++i) {
        subject *one = &w->subjects[i];
        one->over_handles = w->over_pipes;
        if (of.starts_connected[i]) {
            one->on = w->first[i] = new_connection(w);
            if (!connection_make(one->on, one->on->id))
                return false;
        }
        if (!subject_start(one, of, i, w->base))
            return false;
    }
    if (of.asks && !asking_start(&w->client, w->base))
        return false;
    return !of.listens || accepting_start(&w->listening, of, w->base);
}

// What the bufferevent left unread on a descriptor, another one reads, whoever owned it. A pipe of bytes that is its
// program's still has all of it.
void take_rest(world *w, connection *of)
{
    if (w->over_pipes && (of->form & of_messages) == 0 && !of->near_owned) {
        if (!near_take_rest(of))
            note(w, "WRONG: bytes left in a pipe");
        return;
    }
    constexpr int max_tries = 500;
    auto fd = static_cast<evutil_socket_t>(of->near_end);
    struct bufferevent *next = bufferevent_make(w->base, fd, 0, w->over_pipes);
    struct evbuffer *input = bufferevent_get_input(next);
    bufferevent_enable(next, EV_READ);
    size_t left = of->sent - of->read;
    for (int i = 0; i < max_tries && evbuffer_get_length(input) < left; ++i)
        turn(w, i > 2);
    std::string data(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, &data[0], data.size());
    bufferevent_free(next);
    for (size_t i = 0; i < data.size(); ++i)
        if (data[i] != stream_byte(of->id, of->read + i))
            note(w, "WRONG: bytes left on a descriptor");
    of->read += data.size();
}

// What is left of each connection: no byte of it was lost, and an orderly close is seen as one.
void end_connections(world *w)
{
    for (int i = 0; i < w->connection_count; ++i) {
        connection *one = &w->connections[i];
        std::string line = "connection " + std::to_string(i) + ":";
        bool read_all = one->read == one->sent;
        if (one->near_closed && read_all && !one->closed_amid_data && one->far_end != INVALID_SOCKET)
            line += one->far_reset ? " reset" : one->far_ended ? " ended" : " open";
        if (!one->near_closed && one->near_end != INVALID_SOCKET) {
            if (one->read < one->sent)
                take_rest(w, one);
            line += " read=" + std::to_string(one->read) + " of " + std::to_string(one->sent);
        }
        note(w, line);
        if (!one->near_closed && one->near_end != INVALID_SOCKET) {
            if (w->over_pipes)
                one->by->close(one->near_end);
            else
                evutil_closesocket(static_cast<evutil_socket_t>(one->near_end));
        }
        if (one->far_end != INVALID_SOCKET)
            one->by->close(one->far_end);
    }
}

void end(world *w)
{
    for (int i = 0; i < w->subject_count; ++i) {
        if (!w->out.hung)
            read_on(w, &w->subjects[i]);
        if (w->subjects[i].bev != nullptr)
            subject_free(&w->subjects[i]);
    }
    w->client.stalled = false;
    accepting_end(&w->listening);
    if (!w->out.hung)
        sync(w);
    asking_end(&w->client);
    end_connections(w);
    turn(w, false);
    if (w->group != nullptr)
        bufferevent_rate_limit_group_free(w->group);
    for (int i = 0; i < w->rate_count; ++i)
        ev_token_bucket_cfg_free(w->rates[i]);
    event_free(w->tick);
    event_base_free(w->base);
}

trace run_bufferevents(const script &of, base_kind kind)
{
    auto w = std::make_unique<world>();
    w->kind = kind;
    if (!begin(w.get(), of)) {
        note(w.get(), "cannot begin");
        w->out.hung = true;
        return w->out;
    }
    deny_blocks(of.denied_first, of.denied);
    for (const operation &next : of.operations) {
        if (w->out.hung)
            break;
        apply(w.get(), next);
    }
    deny_blocks(0, 0);
    end(w.get());
    return w->out;
}

void say_nothing(int, const char *)
{
}

// Two bases ask for memory at different times, and libevent does not tell of every failure. So nothing is compared: on
// the port each promise is kept, or the trace says which is not.
trace run_short_of_memory(const script &of, base_kind kind)
{
    if (kind == base_kind::select)
        return {};
    event_set_log_callback(say_nothing); // of each accept that fails
    trace out = run_bufferevents(of, kind);
    event_set_log_callback(nullptr);
    for (const std::string &line : out.lines)
        if (line.find("WRONG") != std::string::npos)
            return out;
    if (!out.hung)
        out.lines.clear();
    return out;
}

trace run_about(const script &of, base_kind kind)
{
    switch (of.about) {
    case flavour::plain_events:
        return run_plain_events(of, kind);
    case flavour::layers:
        return run_layers(of, kind);
    case flavour::sharing:
        return run_sharing(of, kind);
    case flavour::serving:
        return run_serving(of, kind);
    case flavour::shortage:
        return run_short_of_memory(of, kind);
    default:
        return run_bufferevents(of, kind);
    }
}

} // namespace

connection *new_connection(world *w)
{
    if (w->connection_count == max_connections)
        return nullptr;
    connection *made = &w->connections[w->connection_count];
    *made = {};
    made->id = w->connection_count++;
    made->ipv6 = (w->ipv6 >> made->id & 1) != 0;
    if (w->over_pipes)
        made->by = &by_pipe;
    made->form = w->forms[made->id];
    made->near_end = made->far_end = INVALID_SOCKET;
    return made;
}

void note(world *w, const std::string &line)
{
    w->out.lines.push_back(line);
}

struct event_base *new_base(base_kind kind, bool locks, int priorities)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | (locks ? 0 : EVENT_BASE_FLAG_NOLOCK) |
                                      (kind == base_kind::iocp ? EVENT_BASE_FLAG_STARTUP_IOCP : 0));
    struct event_base *made = event_base_new_with_config(config);
    event_config_free(config);
    if (made != nullptr && event_base_priority_init(made, priorities) != 0) {
        event_base_free(made);
        return nullptr;
    }
    return made;
}

trace run_script(const script &of, base_kind kind)
{
    evutil_socket_error_to_string(WSAENOBUFS); // libevent keeps such texts
    long blocks = live_blocks();
    trace out = run_about(of, kind);
    if (live_blocks() != blocks)
        out.lines.push_back("WRONG: leaks " + std::to_string(live_blocks() - blocks) + " blocks");
    return out;
}

} // namespace parity
