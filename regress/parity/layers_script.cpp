// Which layers a script has, and what it does with them.
#include "layers.h"

#include <event2/bufferevent.h>
#include <event2/event.h>

namespace parity {

namespace {

const weighted choices[] = {
    {op_kind::layer_write, 14}, {op_kind::layer_enable, 10}, {op_kind::layer_disable, 6}, {op_kind::layer_watermark, 4},
    {op_kind::layer_flush, 4},  {op_kind::layer_take, 6},    {op_kind::layer_way, 5},     {op_kind::layer_free, 2},
    {op_kind::layer_hook, 3},   {op_kind::peer_send, 14},    {op_kind::peer_finish, 1},   {op_kind::peer_reset, 1},
};

void arguments(random_source *random, operation *made)
{
    static const int events[] = {EV_READ, EV_READ, EV_WRITE, EV_READ | EV_WRITE, EV_READ | EV_WRITE};
    made->subject = random->below(2);
    switch (made->kind) {
    case op_kind::layer_write:
    case op_kind::peer_send:
        made->a = size_of_data(random) % 20000 + 1;
        made->b = 1 + random->below(3);
        break;
    case op_kind::layer_enable:
    case op_kind::layer_disable:
        made->a = events[random->below(5)];
        made->b = random->one_in(4);
        break;
    case op_kind::layer_watermark:
        made->a = random->one_in(2) ? 0 : 1 + random->below(400);
        made->b = random->one_in(2) ? 0 : 500 + random->below(4000);
        break;
    case op_kind::layer_flush:
        made->a = events[random->below(5)];
        made->b = random->below(3);
        break;
    case op_kind::layer_take:
        made->a = random->below(2);
        break;
    case op_kind::layer_way:
        made->a = random->below(static_cast<int>(filter_way::count));
        made->b = random->below(2);
        break;
    case op_kind::layer_hook:
        made->a = 1 + random->below(3);
        break;
    default:
        break;
    }
}

} // namespace

void make_layers_script(random_source *random, script *made)
{
    made->about = flavour::layers;
    made->locks = random->one_in(4);
    made->ipv6 = random->one_in(3) ? 1 : 0;
    made->layers =
        random->one_in(2) ? static_cast<int>(stack::filter_over_socket) : random->below(static_cast<int>(stack::count));
    for (int &options : made->options) {
        options = random->one_in(2) ? BEV_OPT_CLOSE_ON_FREE : 0;
        if (random->one_in(4))
            options |= BEV_OPT_DEFER_CALLBACKS;
    }
    int length = 6 + random->below(16);
    for (int i = 0; i < length; ++i) {
        operation next = {choose(random, choices), 0, 0, 0, 0};
        arguments(random, &next);
        made->operations.push_back(next);
        if (!random->one_in(3))
            made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
    }
    made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
}

std::string describe_layers(const script &of)
{
    static const char *const stacks[] = {"a pair", "a filter over a socket", "a filter over one end of a pair"};
    return std::string("  ") + stacks[of.layers] + ", options " + std::to_string(of.options[0]) + ", below " +
           std::to_string(of.options[1]) + "\n";
}

} // namespace parity
