// Which plain events a script has, and what it does with them.
#include "plain_events.h"
#include "watcher.h"

#include <stdio.h>

namespace parity {

namespace {

const weighted choices[] = {
    {op_kind::event_make, 6},      {op_kind::event_add, 16},     {op_kind::event_del, 8},
    {op_kind::event_free, 1},      {op_kind::event_activate, 2}, {op_kind::event_priority, 2},
    {op_kind::event_hook, 14},     {op_kind::event_time_out, 1}, {op_kind::program_send, 3},
    {op_kind::program_receive, 2}, {op_kind::program_shut, 1},   {op_kind::program_reuse, 4},
    {op_kind::peer_send, 16},      {op_kind::peer_finish, 1},    {op_kind::peer_reset, 1},
    {op_kind::peer_stall, 2},      {op_kind::peer_resume, 2},
};

const char *const manners[] = {
    "leaves",       "stops", "takes_all", "takes_some", "writes_and_stops", "echoes_by_switching", "echoes_and_rearms",
    "echoes_beside"};
const char *const deeds[] = {"del",        "free_itself",    "rearm", "turn_round", "add_other",   "del_other",
                             "free_other", "activate_other", "send",  "receive",    "reuse_number"};
static_assert(sizeof(deeds) / sizeof(deeds[0]) == static_cast<size_t>(deed::none), "one name each");
static_assert(sizeof(manners) / sizeof(manners[0]) == static_cast<size_t>(manner::count), "one name each");

void choose_event(random_source *random, operation *made, int descriptors)
{
    static const int events[] = {EV_READ, EV_READ, EV_READ, EV_WRITE, EV_WRITE, EV_READ | EV_WRITE};
    made->a = random->below(descriptors);
    made->b = events[random->below(6)] | (random->one_in(3) ? 0 : EV_PERSIST);
    made->c = random->below(static_cast<int>(manner::count));
    bool reads_too =
        made->c >= static_cast<int>(manner::takes_all) && made->c != static_cast<int>(manner::writes_and_stops);
    if (made->b == EV_WRITE || made->b == (EV_WRITE | EV_PERSIST)) {
        if (reads_too)
            made->c = static_cast<int>(manner::writes_and_stops);
    } else if ((made->b & EV_WRITE) != 0) {
        // Such that it does not matter which it is told of first.
        made->b |= EV_PERSIST;
        made->c = static_cast<int>(random->one_in(2) ? manner::takes_all : manner::takes_some);
    }
    if (made->c == static_cast<int>(manner::leaves) && random->one_in(3))
        made->b |= EV_CLOSED;
}

void arguments(random_source *random, operation *made, int descriptors)
{
    made->subject = random->below(
        made->kind >= op_kind::event_make && made->kind <= op_kind::event_time_out ? max_watchers : descriptors);
    switch (made->kind) {
    case op_kind::event_make:
        choose_event(random, made, descriptors);
        break;
    case op_kind::event_add:
        made->a = random->one_in(2) ? 0 : random->below(3);
        break;
    case op_kind::event_activate:
        made->a = random->one_in(2) ? EV_READ : EV_WRITE;
        break;
    case op_kind::event_priority:
        made->a = random->below(3);
        break;
    case op_kind::event_hook:
        made->a = random->below(static_cast<int>(deed::none));
        made->b = random->below(max_watchers);
        made->c = 1 + random->below(300);
        break;
    case op_kind::peer_stall: // seldom in earnest: it takes long
        if (!random->one_in(6))
            made->kind = op_kind::sync;
        break;
    case op_kind::program_send:
    case op_kind::program_receive:
        made->a = size_of_data(random);
        break;
    case op_kind::program_reuse:
        made->a = random->below(2);
        made->b = random->below(2);
        break;
    case op_kind::peer_send:
        made->a = size_of_data(random) % 6000 + 1; // some take little at a time
        made->b = 1 + random->below(3);
        break;
    default:
        break;
    }
}

} // namespace

void make_plain_script(random_source *random, script *made)
{
    made->about = flavour::plain_events;
    made->locks = random->one_in(4);
    made->ipv6 = random->one_in(3) ? static_cast<unsigned>(random->next()) : 0;
    made->descriptors = 1 + random->below(max_descriptors);
    made->priorities = random->one_in(2) ? 3 : 1;
    made->waits = random->one_in(2);
    int events = 2 + random->below(max_watchers - 1);
    for (int i = 0; i < events; ++i) {
        operation event = {op_kind::event_make, i, 0, 0, 0};
        choose_event(random, &event, made->descriptors);
        made->operations.push_back(event);
        if (!random->one_in(4))
            made->operations.push_back({op_kind::event_add, i, 0, 0, 0});
    }
    int length = 6 + random->below(18);
    for (int i = 0; i < length; ++i) {
        operation next = {choose(random, choices), 0, 0, 0, 0};
        arguments(random, &next, made->descriptors);
        made->operations.push_back(next);
        if (random->one_in(2))
            made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
    }
    made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
}

std::string describe_plain(const script &of)
{
    return "  plain events: " + std::to_string(of.descriptors) + " descriptors, " + std::to_string(of.priorities) +
           " priorities, " + (of.waits ? "turns that wait\n" : "turns that do not wait\n");
}

std::string describe_plain(const operation &of)
{
    char text[160];
    if (of.kind == op_kind::event_hook)
        snprintf(text, sizeof(text), "watcher %d: next time %s (watcher %d, %d bytes)", of.subject, deeds[of.a], of.b,
                 of.c);
    else if (of.kind == op_kind::event_make)
        snprintf(text, sizeof(text), "watcher %d: event_make on descriptor %d, events 0x%x, %s", of.subject, of.a,
                 static_cast<unsigned>(of.b), manners[of.c]);
    else
        return "";
    return text;
}

} // namespace parity
