#include "layers.h"
#include "plain_events.h"
#include "random.h"
#include "serving.h"
#include "sharing.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

namespace parity {

namespace {

// Half of all scripts ask for no more than two while the loop turns.
constexpr int most_denied_first = 5;

const weighted choices[] = {
    {op_kind::enable, 12},        {op_kind::disable, 7},         {op_kind::write, 12},
    {op_kind::write_many, 2},     {op_kind::drain, 3},           {op_kind::frame, 3},
    {op_kind::read_watermark, 4}, {op_kind::write_watermark, 2}, {op_kind::idle, 1},
    {op_kind::set_callbacks, 2},  {op_kind::set_descriptor, 3},  {op_kind::flush, 1},
    {op_kind::rate_limit, 1},     {op_kind::join_group, 1},      {op_kind::priority, 1},
    {op_kind::hook, 7},           {op_kind::free_subject, 1},    {op_kind::shut_write, 1},
    {op_kind::connect, 4},        {op_kind::output, 6},          {op_kind::input, 6},
    {op_kind::reuse_number, 2},   {op_kind::peer_send, 18},      {op_kind::peer_finish, 3},
    {op_kind::peer_reset, 2},     {op_kind::peer_stall, 2},
};

const weighted pipe_choices[] = {
    {op_kind::enable, 12},        {op_kind::disable, 7},         {op_kind::write, 12},
    {op_kind::write_many, 2},     {op_kind::drain, 3},           {op_kind::frame, 3},
    {op_kind::read_watermark, 4}, {op_kind::write_watermark, 2}, {op_kind::idle, 1},
    {op_kind::set_callbacks, 2},  {op_kind::set_descriptor, 4},  {op_kind::flush, 1},
    {op_kind::rate_limit, 1},     {op_kind::join_group, 1},      {op_kind::priority, 1},
    {op_kind::hook, 7},           {op_kind::free_subject, 1},    {op_kind::output, 6},
    {op_kind::input, 6},          {op_kind::peer_send, 18},      {op_kind::peer_leave, 4},
    {op_kind::peer_stall, 4},
};

const weighted listener_choices[] = {
    {op_kind::listener_connect, 6},
    {op_kind::listener_enable, 4},
    {op_kind::listener_hook, 2},
    {op_kind::listener_free, 1},
};

const weighted asking_choices[] = {
    {op_kind::ask, 6},
    {op_kind::ask_cancel, 3},
    {op_kind::ask_stall, 3},
    {op_kind::ask_close, 2},
};

int some_events(random_source *random)
{
    static const int events[] = {EV_READ, EV_READ, EV_WRITE, EV_READ | EV_WRITE, EV_READ | EV_WRITE};
    return events[random->below(5)];
}

void watermark(random_source *random, operation *made)
{
    made->a = random->one_in(3) ? 0 : 1 + random->below(400);
    made->b = random->one_in(2) ? 0 : 400 + random->below(4000);
    made->c = 1 + random->below(400);
}

// For what the program does to a descriptor or its listener, and what its peers do.
void outer_arguments(random_source *random, operation *made)
{
    switch (made->kind) {
    case op_kind::reuse_number:
        made->a = random->below(static_cast<int>(comeback::count));
        break;
    case op_kind::peer_send:
        made->a = size_of_data(random);
        made->b = 1 + random->below(random->one_in(2) ? 4 : 1);
        break;
    case op_kind::peer_reset:
        made->c = random->one_in(2) ? 0 : 1 + random->below(300);
        break;
    case op_kind::peer_stall: // seldom in earnest: it takes as long as twenty scripts without
        if (random->one_in(4))
            made->a = 200000 + random->below(60000);
        else
            made->kind = op_kind::sync;
        break;
    case op_kind::listener_connect:
        made->a = 1 + random->below(random->one_in(4) ? 8 : 3);
        break;
    case op_kind::listener_enable:
        made->a = random->below(2);
        break;
    case op_kind::listener_hook:
        made->a = 1 + random->below(2);
        break;
    case op_kind::ask:
        made->a = random->one_in(3) ? 1000000 + random->below(1000000) : random->below(60000);
        break;
    case op_kind::ask_cancel:
        made->a = random->below(3);
        break;
    case op_kind::ask_stall:
        made->a = !random->one_in(3);
        break;
    case op_kind::ask_close:
        made->a = random->below(2);
        break;
    default:
        break;
    }
}

void arguments(random_source *random, operation *made)
{
    switch (made->kind) {
    case op_kind::enable:
    case op_kind::disable:
        made->a = some_events(random);
        break;
    case op_kind::write:
    case op_kind::drain:
        made->a = size_of_data(random);
        break;
    case op_kind::write_many:
        made->a = 1 + random->below(40);
        made->b = 2 + random->below(30);
        break;
    case op_kind::frame:
        made->a = random->one_in(3) ? 0 : 1 + random->below(600);
        break;
    case op_kind::read_watermark:
        watermark(random, made);
        break;
    case op_kind::write_watermark:
        made->a = random->one_in(3) ? 0 : 1 + random->below(400);
        break;
    case op_kind::idle:
        made->a = 1 + random->below(3);
        break;
    case op_kind::set_callbacks:
        made->a = random->one_in(2) ? 7 : random->below(8);
        break;
    case op_kind::set_descriptor:
        made->a = random->below(4);
        break;
    case op_kind::flush:
        made->a = some_events(random);
        made->b = random->below(3);
        break;
    case op_kind::rate_limit:
        made->a = random->one_in(3) ? 0 : 500 + random->below(3000);
        break;
    case op_kind::join_group:
        made->a = random->below(2);
        break;
    case op_kind::priority:
        made->a = random->below(3);
        break;
    case op_kind::hook:
        made->a = random->below(static_cast<int>(moment::count));
        made->b = random->below(static_cast<int>(action::count));
        made->c = 1 + random->below(500);
        break;
    case op_kind::output:
        made->a = random->below(static_cast<int>(output_change::count));
        made->c = random->one_in(2) ? 1000000 : size_of_data(random);
        break;
    case op_kind::input:
        made->a = random->below(static_cast<int>(input_change::count));
        made->c = random->one_in(3) ? 1000000 : size_of_data(random);
        break;
    case op_kind::connect:
        made->a = random->one_in(4);
        made->b = random->one_in(4);
        break;
    default:
        outer_arguments(random, made);
        break;
    }
}

// What is worth trying while a send is in flight.
void amid_a_send(random_source *random, int subject, script *made)
{
    static const op_kind kinds[] = {op_kind::output,        op_kind::output,  op_kind::output,
                                    op_kind::free_subject,  op_kind::disable, op_kind::reuse_number,
                                    op_kind::set_descriptor};
    bool of_pipes = made->about == flavour::pipes;
    if (of_pipes && !random->one_in(3))
        made->operations.push_back({op_kind::peer_sip, subject, 1 + random->below(4000), 0, 0});
    if (random->one_in(3))
        return;
    operation next = {kinds[random->below(7)], subject, 0, 0, 0};
    if (of_pipes && next.kind == op_kind::reuse_number)
        next.kind = op_kind::set_descriptor;
    arguments(random, &next);
    made->operations.push_back(next);
}

int some_options(random_source *random)
{
    int options = random->one_in(2) ? BEV_OPT_CLOSE_ON_FREE : 0;
    if (random->one_in(3))
        options |= BEV_OPT_THREADSAFE;
    if (random->one_in(3))
        options |= BEV_OPT_DEFER_CALLBACKS | (random->one_in(2) ? BEV_OPT_UNLOCK_CALLBACKS : 0);
    return options;
}

// Of sockets: what there is beside their bufferevents, too.
void surroundings(random_source *random, script *made)
{
    made->listens = random->one_in(8);
    made->asks = random->one_in(8) && made->about == flavour::bufferevents;
    made->locks = random->one_in(4);
    made->ipv6 = random->one_in(3) ? static_cast<unsigned>(random->next()) : 0;
    made->listens_ipv6 = random->one_in(3);
    made->listener_flags =
        (random->one_in(2) ? LEV_OPT_CLOSE_ON_FREE : 0u) | (random->one_in(4) ? LEV_OPT_DISABLED : 0u);
}

op_kind some_kind(random_source *random, const script &of)
{
    if (of.about == flavour::pipes)
        return choose(random, pipe_choices);
    op_kind made = of.listens && random->one_in(3) ? choose(random, listener_choices) : choose(random, choices);
    return of.asks && random->one_in(2) ? choose(random, asking_choices) : made;
}

operation some_operation(random_source *random, const script &of)
{
    operation made = {};
    made.subject = random->below(of.subjects);
    made.kind = some_kind(random, of);
    // A pipe is full with less, and that takes no time.
    if (of.about == flavour::pipes && made.kind == op_kind::peer_stall)
        made.a = 1 + random->below(random->one_in(4) ? 260000 : 40000);
    else
        arguments(random, &made);
    return made;
}

} // namespace

int size_of_data(random_source *random)
{
    static const int edges[] = {1, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 16384, 16385};
    int kind = random->below(10);
    if (kind < 6)
        return 1 + random->below(300);
    if (kind < 8)
        return 1 + random->below(3000);
    if (kind < 9)
        return edges[random->below(10)];
    return 1 + random->below(60000);
}

script make_script(uint64_t seed)
{
    random_source random = {seed * 0x2545F4914F6CDD1Dull + 1};
    script made = {};
    made.seed = seed;
    if (seed % 24 == 7) {
        make_sharing_script(&random, &made);
        return made;
    }
    if (seed % 24 == 3) {
        make_serving_script(&random, &made);
        return made;
    }
    if (seed % 8 == 5) {
        make_plain_script(&random, &made);
        return made;
    }
    if (seed % 8 == 7) {
        make_layers_script(&random, &made);
        return made;
    }
    if (seed % 24 == 11) {
        made.about = flavour::shortage;
        made.denied_first = 1 + random.below(most_denied_first);
        made.denied = random.one_in(4) ? 1 + random.below(4) : 1;
    }
    made.subjects = random.one_in(4) ? 2 : 1;
    if (seed % 8 == 6) {
        made.about = flavour::pipes;
        made.pipes = random.next();
        made.locks = random.one_in(4);
    } else {
        surroundings(&random, &made);
    }
    for (int i = 0; i < made.subjects; ++i) {
        made.options[i] = some_options(&random);
        made.starts_connected[i] = !random.one_in(3);
    }
    int length = 4 + random.below(14);
    for (int i = 0; i < length; ++i) {
        operation next = some_operation(&random, made);
        made.operations.push_back(next);
        if (next.kind == op_kind::peer_stall)
            amid_a_send(&random, next.subject, &made);
        if (!random.one_in(3))
            made.operations.push_back({op_kind::sync, 0, 0, 0, 0});
    }
    if (random.one_in(3))
        made.operations.push_back(
            {op_kind::exit_with_reply, random.below(made.subjects), random.below(300), 1 + random.below(300), 0});
    made.operations.push_back({op_kind::sync, 0, 0, 0, 0});
    return made;
}

} // namespace parity
