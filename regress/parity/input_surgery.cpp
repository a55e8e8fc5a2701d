#include "input_surgery.h"
#include "surgery.h"

namespace parity {

namespace {

constexpr size_t most_added = 3000; // to the input: it may not fill up
constexpr size_t most_in_input = 30000;

void take(struct evbuffer *input, size_t bytes)
{
    struct evbuffer *aside = evbuffer_new();
    evbuffer_remove_buffer(input, aside, bytes);
    evbuffer_free(aside);
}

void take_all(struct evbuffer *input)
{
    struct evbuffer *aside = evbuffer_new();
    evbuffer_add_buffer(aside, input);
    evbuffer_free(aside);
}

void take_and_put_back(struct evbuffer *input, size_t bytes)
{
    struct evbuffer *aside = evbuffer_new();
    evbuffer_remove_buffer(input, aside, bytes);
    evbuffer_prepend_buffer(input, aside);
    evbuffer_free(aside);
}

// As proxies do.
void pass_on(world *w, subject *on, struct evbuffer *input)
{
    subject *to = &w->subjects[w->subject_count - 1];
    if (to->bev == nullptr || to->on == nullptr || to->on->stalled || !sends_surely(to) || to->cut_amid_send)
        return;
    size_t drained = subject_drained(to);
    bufferevent_write_buffer(to->bev, input);
    subject_output_changed(to, drained);
    to->written_much = true;
    if (evbuffer_get_length(input) != 0)
        on->wrong += " bufferevent_write_buffer;";
}

// Nothing can be taken meanwhile; what comes is added.
void freeze_for_a_while(world *w, subject *on, struct evbuffer *input)
{
    if (on->high != 0 || !on->hooks.empty())
        return;
    evbuffer_freeze(input, 1);
    if (evbuffer_get_length(input) != 0 && (evbuffer_drain(input, 1) == 0 || evbuffer_prepend(input, "x", 1) == 0))
        on->wrong += " changed though frozen;";
    on->operates_on_input = false;
    on->input_frozen = true;
    sync(w);
    on->input_frozen = false;
    if (on->bev != nullptr)
        evbuffer_unfreeze(input, 1);
}

// At its end the input is the bufferevent's alone, once something has been received, until the program unfreezes it.
void add(subject *on, struct evbuffer *input, size_t bytes, bool reference)
{
    static const std::string lent(most_added, 'i');
    evbuffer_freeze(input, 0);
    if (evbuffer_add(input, lent.data(), bytes) == 0)
        on->wrong += " added though frozen;";
    evbuffer_unfreeze(input, 0);
    int result = reference ? evbuffer_add_reference(input, lent.data(), bytes, nullptr, nullptr)
                           : evbuffer_add(input, lent.data(), bytes);
    evbuffer_freeze(input, 0);
    if (result != 0)
        on->wrong += " cannot add to the input;";
}

void operate(world *w, subject *on, input_change how, size_t bytes)
{
    static const std::string put(most_added, 'p');
    struct evbuffer *input = bufferevent_get_input(on->bev);
    size_t little = bytes % most_added + 1;
    bool has_room = on->high == 0 && evbuffer_get_length(input) < most_in_input;
    switch (how) {
    case input_change::prepend:
        if (has_room)
            evbuffer_prepend(input, put.data(), little);
        break;
    case input_change::add:
    case input_change::reference:
        if (has_room)
            add(on, input, little, how == input_change::reference);
        break;
    case input_change::take:
        take(input, bytes);
        break;
    case input_change::take_all:
        take_all(input);
        break;
    case input_change::put_back:
        take_and_put_back(input, bytes);
        break;
    case input_change::contiguous:
        evbuffer_pullup(input, bytes < evbuffer_get_length(input) ? static_cast<ev_ssize_t>(bytes) : -1);
        break;
    case input_change::expand:
        evbuffer_unfreeze(input, 0);
        evbuffer_expand(input, bytes);
        evbuffer_freeze(input, 0);
        break;
    case input_change::pass_on:
        pass_on(w, on, input);
        break;
    default:
        freeze_for_a_while(w, on, input);
        break;
    }
}

} // namespace

void change_input(world *w, subject *on, input_change how, size_t bytes)
{
    if (on->fuzzy_read || on->input_unknown)
        return;
    on->operates_on_input = true;
    operate(w, on, how, bytes);
    on->operates_on_input = false;
    if (on->bev != nullptr)
        subject_input_changed(on);
}

} // namespace parity
