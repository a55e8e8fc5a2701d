#include "surgery.h"
#include "file.h"

namespace parity {

namespace {

constexpr size_t prepended = 5000;

bool is_stalled(const subject *on)
{
    return on->on != nullptr && on->on->stalled;
}

void rearrange(struct evbuffer *output, size_t bytes)
{
    struct evbuffer *aside = evbuffer_new();
    evbuffer_remove_buffer(output, aside, bytes);
    evbuffer_add(output, "in between", 10);
    evbuffer_add_buffer(output, aside);
    evbuffer_free(aside);
}

void take(struct evbuffer *output, size_t bytes)
{
    struct evbuffer *aside = evbuffer_new();
    evbuffer_remove_buffer(output, aside, bytes);
    evbuffer_free(aside);
}

void move_to_other(world *w, subject *on, struct evbuffer *output)
{
    subject *other = &w->subjects[1 - on->index];
    if (w->subject_count < 2 || other->bev == nullptr || is_stalled(other) || !sends_surely(other))
        return;
    struct evbuffer *into = bufferevent_get_output(other->bev);
    size_t drained = subject_drained(other);
    evbuffer_add_buffer(into, output);
    subject_output_changed(other, drained);
    other->written_much = true;
    other->fuzzy_write = is_stalled(on) || on->cut_amid_send;
    other->cut_amid_send = other->cut_amid_send || other->fuzzy_write;
    if (other->fuzzy_write)
        other->hooks.clear(); // whether there is anything to write is chance
}

void write_though_frozen(subject *on, struct evbuffer *output)
{
    size_t before = evbuffer_get_length(output);
    evbuffer_freeze(output, 0);
    if (bufferevent_write(on->bev, "frozen", 6) == 0 || evbuffer_get_length(output) != before)
        on->wrong += " written though frozen;";
    evbuffer_unfreeze(output, 0);
}

void operate(world *w, subject *on, output_change how, size_t bytes)
{
    static const std::string lent(20000, 'l');
    struct evbuffer *output = bufferevent_get_output(on->bev);
    switch (how) {
    case output_change::drain:
        evbuffer_drain(output, bytes);
        break;
    case output_change::take:
        take(output, bytes);
        break;
    case output_change::rearrange:
        rearrange(output, bytes);
        break;
    case output_change::prepend:
        evbuffer_prepend(output, lent.data(), prepended);
        break;
    case output_change::contiguous:
        evbuffer_pullup(output, bytes < evbuffer_get_length(output) ? static_cast<ev_ssize_t>(bytes) : -1);
        break;
    case output_change::file:
    case output_change::file_segment:
        add_file(on, output, how == output_change::file_segment, bytes);
        break;
    case output_change::frozen:
        write_though_frozen(on, output);
        break;
    case output_change::reference:
        evbuffer_add_reference(output, lent.data(), lent.size(), nullptr, nullptr);
        break;
    default:
        move_to_other(w, on, output);
        break;
    }
}

// The peer of a connection that the subject has left reads on: what had left the output comes. Unless it was closed
// with unread data, which resets it; and who was reset may see the end alone.
void receive_what_left(world *w, subject *on, connection *old, size_t drained)
{
    constexpr ULONGLONG hang_ms = 5000;
    old->stalled = false;
    ULONGLONG end = GetTickCount64() + hang_ms;
    for (int i = 0; on->got.size() < drained && !old->far_ended && GetTickCount64() < end; ++i) {
        turn(w, i > 5);
        while (peer_receive(old, &on->got))
            continue;
    }
    subject_receive(on);
    if (on->got.size() < drained && !old->far_reset && !old->closed_amid_data)
        on->wrong += " what had left the output is lost;";
}

} // namespace

bool sends_surely(const subject *on)
{
    return !on->rate_limited && (!on->fuzzy_write || is_stalled(on)) &&
           (on->on == nullptr || (!on->on->was_reset && !on->on->near_shut && !on->on->left));
}

void change_output(world *w, subject *on, output_change how, size_t bytes)
{
    if (!sends_surely(on))
        return;
    struct evbuffer *output = bufferevent_get_output(on->bev);
    size_t drained = subject_drained(on);
    evbuffer_unfreeze(output, 1);
    operate(w, on, how, bytes);
    evbuffer_freeze(output, 1);
    subject_output_changed(on, drained);
    on->written_much = true;
    on->cut_amid_send = on->cut_amid_send || is_stalled(on);
}

void reuse_number(world *w, subject *on, comeback how)
{
    connection *old = on->on;
    if (old == nullptr || subject_owns_descriptor(on) || !sends_surely(on) || old->refused || old->connecting ||
        on->fuzzy_read || old->far_end == INVALID_SOCKET || w->connection_count == max_connections)
        return;
    on->hooks.clear();
    bufferevent_disable(on->bev, EV_READ | EV_WRITE);
    if (how == comeback::sets_none_then_the_new)
        bufferevent_setfd(on->bev, -1);
    size_t drained = subject_drained(on);
    bool all_read = old->read == old->sent;
    SOCKET number = old->near_end;
    closesocket(number);
    old->near_closed = old->closed_amid_data = true; // what its peer sees is looked at here
    on->cut_amid_send = on->cut_amid_send || old->stalled || !all_read;
    on->input_unknown = on->input_unknown || !all_read;
    connection *next = new_connection(w);
    on->on = next;
    if (!connection_make_as(next, next->id, number)) {
        on->wrong += " the number has not come back;";
        return;
    }
    old->stalled = false;
    peer_receive_to_the_end(old, &on->got);
    subject_receive(on);
    if (all_read && (on->got.size() != drained || !old->far_ended || old->far_reset))
        on->wrong += " what had left the output is lost;";
    on->expected = on->got + on->expected.substr(drained);
    if (how != comeback::frees_and_makes_another) {
        bufferevent_setfd(on->bev, static_cast<evutil_socket_t>(number));
        return;
    }
    struct bufferevent *freed = on->bev;
    on->low = on->high = 0;
    subject_make(on);
    subject_output_changed(on, on->got.size());
    bufferevent_free(freed);
}

void free_amid_a_send(world *w, subject *on)
{
    connection *its = on->on;
    size_t drained = subject_drained(on);
    subject_free(on);
    its->closed_amid_data = its->closed_amid_data || its->read != its->sent;
    receive_what_left(w, on, its, drained);
    if (on->got.size() > drained)
        on->wrong += " its peer has what stood in the output;";
    if (its->far_reset && !its->closed_amid_data)
        on->wrong += " reset by free;";
}

void move_amid_a_send(world *w, subject *on, connection *to)
{
    connection *old = on->on;
    size_t drained = subject_drained(on);
    subject_move(on, to);
    on->cut_amid_send = true;
    if (to != old)
        receive_what_left(w, on, old, drained);
}

} // namespace parity
