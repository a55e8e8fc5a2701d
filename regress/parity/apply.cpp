#include "input_surgery.h"
#include "surgery.h"

#include <event2/bufferevent_struct.h>

namespace parity {

namespace {

constexpr int rate_tick_us = 1000;

bool has_peer(const subject *on)
{
    return on->on != nullptr && on->on->far_end != INVALID_SOCKET;
}

// Where the lengths are not known alike on both bases, the script may not make more depend on them.
bool is_sure(const subject *on)
{
    return !on->fuzzy_read && !on->fuzzy_write;
}

// Nobody asks this peer any more, once the bufferevent has another connection.
void receive_before_it_moves(subject *on)
{
    size_t drained = subject_drained(on);
    while (on->got.size() < drained && peer_receive(on->on, &on->got))
        continue;
    subject_receive(on);
}

void set_descriptor(world *w, subject *on, int which)
{
    connection *to = nullptr;
    if (which == 1) {
        to = new_connection(w);
        if (to == nullptr || !connection_make(to, to->id))
            return;
    } else if (which == 2) {
        to = w->first[on->index];
        if (to == nullptr || to->near_closed || to->refused)
            return;
        if (to->left && (!is_sure(on) || evbuffer_get_length(bufferevent_get_output(on->bev)) != 0))
            return; // see subject_write
    } else if (which == 3) {
        to = on->on;
    }
    if (has_peer(on) && !on->on->stalled)
        receive_before_it_moves(on);
    if (on->on != nullptr && on->on->stalled)
        move_amid_a_send(w, on, to);
    else
        subject_move(on, to);
    evutil_socket_t expected = to != nullptr ? static_cast<evutil_socket_t>(to->near_end) : -1;
    if (bufferevent_getfd(on->bev) != expected)
        on->wrong += " bufferevent_getfd;";
}

// Wine refuses within connect(), and then libevent on select disables the bufferevent, which it does not where the
// refusal comes later (Windows, and always on the port). The script goes on from the same state.
void see_refusal(world *w, subject *on)
{
    on->hide_enabled = true;
    sync(w);
    on->hide_enabled = false;
    if (on->bev != nullptr)
        bufferevent_disable(on->bev, EV_READ | EV_WRITE);
}

void connect_subject(world *w, subject *on, const operation &what)
{
    if (on->on != nullptr || bufferevent_getfd(on->bev) >= 0)
        return;
    // libevent takes it for connecting still, and tells twice of a connect that is refused in its call.
    if (what.a != 0 && on->left_connecting)
        return;
    connection *to = new_connection(w);
    if (to == nullptr)
        return;
    any_address address = what.a != 0 ? closed_address_of(to->ipv6) : open_address_of(to->ipv6);
    to->refused = what.a != 0;
    to->connecting = true;
    on->on = to;
    int result = what.b != 0 ? bufferevent_socket_connect_hostname(on->bev, nullptr, to->ipv6 ? AF_INET6 : AF_INET,
                                                                   loopback_name(to->ipv6), address.port())
                             : bufferevent_socket_connect(on->bev, address.get(), address.length);
    note(w, "connect: " + std::to_string(result));
    to->near_end = static_cast<SOCKET>(bufferevent_getfd(on->bev));
    if (!to->refused && result == 0 && !connection_accept(to))
        on->wrong += " the peer cannot accept;";
    if (to->refused)
        see_refusal(w, on);
}

void rate_limit(world *w, subject *on, int rate)
{
    if (rate == 0) {
        bufferevent_set_rate_limit(on->bev, nullptr);
        return;
    }
    if (w->rate_count == max_rates)
        return;
    struct timeval tick = {0, rate_tick_us};
    auto limit = static_cast<size_t>(rate);
    w->rates[w->rate_count] = ev_token_bucket_cfg_new(limit, limit, limit, limit, &tick);
    bufferevent_set_rate_limit(on->bev, w->rates[w->rate_count++]);
    on->rate_limited = true;
}

void join_group(world *w, subject *on, bool join)
{
    if (w->group == nullptr) {
        if (!join || w->rate_count == max_rates)
            return;
        struct timeval tick = {0, rate_tick_us};
        w->rates[w->rate_count] = ev_token_bucket_cfg_new(2000, 4000, 2000, 4000, &tick);
        w->group = bufferevent_rate_limit_group_new(w->base, w->rates[w->rate_count++]);
    }
    if (join)
        bufferevent_add_to_rate_limit_group(on->bev, w->group);
    else
        bufferevent_remove_from_rate_limit_group(on->bev);
    w->in_group[on->index] = join;
    on->rate_limited = true;
}

void shut_write(subject *on)
{
    bool drained = evbuffer_get_length(bufferevent_get_output(on->bev)) == 0 &&
                   event_pending(&on->bev->ev_write, EV_WRITE, nullptr) == 0;
    if (!has_peer(on) || !drained || !is_sure(on) || on->on->was_reset)
        return;
    if (shutdown(on->on->near_end, SD_SEND) != 0)
        on->wrong += " cannot shut down;";
    on->on->near_shut = true;
}

void reset_by_peer(world *w, subject *on, int bytes)
{
    if (!has_peer(on))
        return;
    sync(w);
    if (!has_peer(on))
        return;
    if (bytes > 0 && !on->on->finished)
        peer_send(on->on, bytes, 1);
    if (reset_overtakes_bytes()) {
        sync(w);
        if (!has_peer(on) || on->on->read < on->on->sent)
            return; // whether select reads them is chance
    }
    peer_reset(on->on);
    sync(w);
}

// What is in the output now, or comes there later, would be sent to nobody.
void peer_leaves(world *w, subject *on)
{
    if (!has_peer(on) || on->on->stalled || on->on->near_shut)
        return;
    sync(w);
    if (on->bev != nullptr && has_peer(on) && is_sure(on) && !on->on->far_ended &&
        evbuffer_get_length(bufferevent_get_output(on->bev)) == 0)
        peer_leave(on->on);
}

// The bufferevent has more to write than fits on the way, and goes on reading.
void stall(world *w, subject *on, int bytes)
{
    if (!has_peer(on) || on->on->stalled || on->on->near_shut || on->rate_limited || on->bev == nullptr)
        return;
    sync(w);
    if (on->bev == nullptr || !has_peer(on) || on->on->was_reset || on->on->far_ended || !is_sure(on))
        return;
    on->hooks.clear();
    peer_stall(on->on);
    bufferevent_enable(on->bev, EV_WRITE);
    subject_write(on, bytes);
}

// Of a pipe that is a part of what is being written, unless there is room for it.
void sip(world *w, subject *on, size_t bytes)
{
    if (!has_peer(on) || !on->on->stalled)
        return;
    sync(w);
    peer_receive(on->on, &on->got, bytes);
    subject_receive(on);
}

void set_frame(subject *on, int frame)
{
    on->frame = frame;
    if (on->low > frame && frame != 0)
        on->low = frame;
    if (frame == 0)
        on->low = on->high = 0;
    if (on->high != 0 && on->high < frame)
        on->high = frame;
    bufferevent_setwatermark(on->bev, EV_READ, static_cast<size_t>(on->low), static_cast<size_t>(on->high));
}

// Kept such that the read callback takes something whenever the high watermark is reached: libevent would call it over
// and over; and such that what is left does not depend on how the bytes arrived.
void set_read_watermark(subject *on, int low, int high, int frame)
{
    if (high != 0 && on->frame == 0)
        on->frame = frame;
    on->low = on->frame != 0 && low > on->frame ? on->frame : low;
    on->high = on->frame == 0 ? 0 : high != 0 && high < on->frame ? on->frame : high;
    bufferevent_setwatermark(on->bev, EV_READ, static_cast<size_t>(on->low), static_cast<size_t>(on->high));
}

void apply_to_peer(world *w, subject *on, const operation &what)
{
    // On select, what comes with the connection may be read before BEV_EVENT_CONNECTED is told. Never on the port.
    if (has_peer(on) && on->on->connecting)
        sync(w);
    if (what.kind == op_kind::peer_reset)
        reset_by_peer(w, on, what.c);
    else if (what.kind == op_kind::peer_leave)
        peer_leaves(w, on);
    else if (w->of_pipes && has_peer(on) && on->on->near_closed)
        return; // a socket takes what is sent to nobody, and a pipe does not
    else if (has_peer(on) && !on->on->finished && what.kind == op_kind::peer_send)
        peer_send(on->on, what.a, what.b);
    else if (what.kind == op_kind::peer_stall)
        stall(w, on, what.a);
    else if (what.kind == op_kind::peer_sip)
        sip(w, on, static_cast<size_t>(what.a));
    else if (has_peer(on) && !on->on->finished)
        peer_finish(on->on);
}

// While its peer is stalled, how far a bufferevent has come in writing differs, and nothing may depend on it.
bool stays_stalled(op_kind kind)
{
    switch (kind) {
    case op_kind::sync:
    case op_kind::enable:
    case op_kind::disable:
    case op_kind::write:
    case op_kind::write_many:
    case op_kind::drain:
    case op_kind::frame:
    case op_kind::flush:
    case op_kind::priority:
    case op_kind::free_subject:
    case op_kind::output:
    case op_kind::input:
    case op_kind::reuse_number:
    case op_kind::set_descriptor:
    case op_kind::peer_send:
    case op_kind::peer_finish:
    case op_kind::peer_stall:
    case op_kind::peer_sip:
        return true;
    default:
        return false;
    }
}

void apply_settings(world *w, subject *on, const operation &what)
{
    switch (what.kind) {
    case op_kind::drain:
        if (!on->fuzzy_read && !on->input_unknown)
            evbuffer_drain(bufferevent_get_input(on->bev), static_cast<size_t>(what.a));
        break;
    case op_kind::frame:
        if (!on->fuzzy_read)
            set_frame(on, what.a);
        break;
    case op_kind::read_watermark:
        if (!on->fuzzy_read)
            set_read_watermark(on, what.a, what.b, what.c);
        break;
    case op_kind::write_watermark:
        bufferevent_setwatermark(on->bev, EV_WRITE, static_cast<size_t>(what.a), 0);
        break;
    case op_kind::set_callbacks:
        if (!on->fuzzy_read && on->high == 0)
            subject_set_callbacks(on, what.a);
        break;
    case op_kind::rate_limit:
        rate_limit(w, on, what.a);
        break;
    case op_kind::join_group:
        join_group(w, on, what.a != 0);
        break;
    case op_kind::priority:
        if (bufferevent_priority_set(on->bev, what.a) != 0 || bufferevent_get_priority(on->bev) != what.a)
            on->wrong += " bufferevent_priority_set;";
        break;
    default:
        // One at a time: of two, which comes first could be chance.
        on->hooks.clear();
        // How much is left to be written is chance by then, and so is whether there is a write callback.
        if (w->of_pipes && on->fuzzy_write && what.a == static_cast<int>(moment::write))
            break;
        on->hooks.push_back({static_cast<moment>(what.a), static_cast<action>(what.b), what.c});
        break;
    }
}

void apply_to_subject(world *w, subject *on, const operation &what)
{
    switch (what.kind) {
    case op_kind::enable:
        note(w, "enable: " + std::to_string(subject_enable(on, what.a)));
        break;
    case op_kind::disable:
        note(w, "disable: " + std::to_string(bufferevent_disable(on->bev, static_cast<short>(what.a))));
        break;
    case op_kind::write:
        subject_write(on, what.a);
        break;
    case op_kind::write_many:
        for (int i = 0; i < what.b; ++i)
            subject_write(on, what.a);
        break;
    case op_kind::idle:
        idle(w, on, what.a);
        break;
    case op_kind::set_descriptor:
        set_descriptor(w, on, what.a);
        break;
    case op_kind::flush:
        note(w, "flush: " + std::to_string(bufferevent_flush(on->bev, static_cast<short>(what.a),
                                                             static_cast<bufferevent_flush_mode>(what.b))));
        break;
    case op_kind::free_subject:
        if (on->on != nullptr && on->on->stalled)
            free_amid_a_send(w, on);
        else
            subject_free(on);
        break;
    case op_kind::output:
        change_output(w, on, static_cast<output_change>(what.a), static_cast<size_t>(what.c));
        break;
    case op_kind::input:
        change_input(w, on, static_cast<input_change>(what.a), static_cast<size_t>(what.c));
        break;
    case op_kind::exit_with_reply:
        exit_with_reply(w, on, what.a, what.b);
        break;
    case op_kind::reuse_number:
        reuse_number(w, on, static_cast<comeback>(what.a));
        break;
    case op_kind::shut_write:
        shut_write(on);
        break;
    case op_kind::connect:
        connect_subject(w, on, what);
        break;
    default:
        apply_settings(w, on, what);
        break;
    }
}

} // namespace

void apply(world *w, const operation &what)
{
    subject *on = &w->subjects[what.subject];
    if (!stays_stalled(what.kind) && what.kind < op_kind::ask)
        read_on(w, on);
    switch (what.kind) {
    case op_kind::sync:
        sync(w);
        break;
    case op_kind::peer_send:
    case op_kind::peer_finish:
    case op_kind::peer_reset:
    case op_kind::peer_leave:
    case op_kind::peer_stall:
    case op_kind::peer_sip:
        apply_to_peer(w, on, what);
        break;
    case op_kind::listener_connect:
    case op_kind::listener_enable:
    case op_kind::listener_hook:
    case op_kind::listener_free:
        accepting_apply(&w->listening, what);
        break;
    case op_kind::ask:
    case op_kind::ask_cancel:
    case op_kind::ask_stall:
    case op_kind::ask_close:
        asking_apply(&w->client, w->base, what);
        break;
    default:
        if (on->bev != nullptr)
            apply_to_subject(w, on, what);
        break;
    }
}

} // namespace parity
