#include "serving.h"

#include <stdio.h>

namespace parity {

namespace {

const weighted choices[] = {
    {op_kind::serve_ask, 20},     {op_kind::serve_answer, 4}, {op_kind::serve_finish, 2}, {op_kind::serve_leave, 2},
    {op_kind::serve_time_out, 2}, {op_kind::serve_stall, 1},  {op_kind::serve_free, 1},
};

int some_form(random_source *random)
{
    static const int forms[] = {0, 0, expects_100, asks_to_close, is_http_1_0, body_in_chunks, is_cut};
    int form = forms[random->below(7)] | forms[random->below(7)];
    if ((form & is_http_1_0) != 0) // knows neither
        form &= ~(body_in_chunks | expects_100);
    return form;
}

void arguments(random_source *random, operation *made)
{
    switch (made->kind) {
    case op_kind::serve_ask:
        made->a = random->below(static_cast<int>(deed::count));
        made->b = random->one_in(3) ? 0 : size_of_data(random);
        made->c = some_form(random);
        if (made->b == 0)
            made->c &= ~(expects_100 | body_in_chunks);
        break;
    case op_kind::serve_stall:
        made->a = !random->one_in(3);
        break;
    default:
        made->a = random->below(2);
        break;
    }
}

} // namespace

void make_serving_script(random_source *random, script *made)
{
    made->about = flavour::serving;
    made->locks = random->one_in(3);
    made->deferred = random->one_in(2);
    made->max_body = random->one_in(3) ? 5000 : 1000000;
    int length = 5 + random->below(14), clients = 1 + random->below(max_clients);
    for (int i = 0; i < length; ++i) {
        operation next = {};
        next.subject = random->below(clients);
        next.kind = choose(random, choices);
        arguments(random, &next);
        made->operations.push_back(next);
        if (random->one_in(2))
            made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
    }
    made->operations.push_back({op_kind::sync, 0, 0, 0, 0});
}

std::string describe_serving(const script &of)
{
    return "  an evhttp server " + std::string(of.locks ? "with" : "without") + " locks," +
           (of.deferred ? " which waits for first data," : "") + " bodies of at most " + std::to_string(of.max_body) +
           " bytes\n";
}

} // namespace parity
