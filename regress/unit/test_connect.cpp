// Connects on the fake kernel: bufferevent_socket_connect on top of ConnectEx. Whatever comes of a connect, when, and
// whatever the program does meanwhile, it is told once, with the right error, and of a connection that is whole.
#include "support/check.h"

#include "support/connecting.h"

using namespace iocp;

namespace {

constexpr int connections = 4;
constexpr int max_settling_turns = 5000; // a refused connect takes two seconds
constexpr uint64_t seeds = 3000;

constexpr outcome outcomes[] = {
    {0, 0},
    {0, 0},
    {static_cast<nt_status>(0xC0000236), WSAECONNREFUSED},
    {static_cast<nt_status>(0xC00000B5), WSAETIMEDOUT},
    {static_cast<nt_status>(0xC000020D), WSAECONNRESET},
    {fake::status_pending, 0}, // until the end, when it succeeds
};

std::string some_bytes()
{
    std::string bytes(1 + fake::random() % 2000, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>(fake::random());
    return bytes;
}

void step(attempt *one)
{
    std::string bytes;
    switch (fake::random() % 10) {
    case 0:
    case 1:
        if (!one->asked)
            ask(one, outcomes[fake::random() % (sizeof(outcomes) / sizeof(outcomes[0]))]);
        break;
    case 2:
        if (one->failed != 0)
            break; // to write on after a failure is to be told of it again, on select as well
        bytes = some_bytes();
        one->written += bytes;
        bufferevent_write(one->bev, bytes.data(), bytes.size());
        break;
    case 3:
        if (one->failed == 0)
            bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        break;
    case 4:
        bufferevent_disable(one->bev, fake::happens(500) ? EV_READ : EV_WRITE);
        break;
    case 5:
        if (fake::happens(200))
            replace_socket(one);
        break;
    case 6:
        if (fake::happens(100))
            let_go(one);
        break;
    default:
        if (fake::find_socket(one->socket)->connected) {
            bytes = some_bytes();
            one->peer_sent += bytes;
            fake::peer_sends(one->socket, bytes);
        }
        break;
    }
}

bool is_settled(const attempt &one)
{
    if (one.bev == nullptr || !one.asked)
        return true;
    if (one.expected != 0)
        return one.failed == 1;
    return one.connected == 1 && one.read == one.peer_sent && one.delivered + fake::sent(one.socket) == one.written;
}

void settle(attempt *one)
{
    fake::set_connect_result(0);
    for (int turns = 0; turns < max_settling_turns && !is_settled(*one); ++turns) {
        if (one->expected == 0 || one->failed == 0)
            bufferevent_enable(one->bev, EV_READ | EV_WRITE);
        fake::advance_us(500);
        turn(one->base);
    }
    if (!is_settled(*one))
        fails("a connect is not told of, or its bytes do not arrive");
}

void check(const attempt &one)
{
    if (one.connected + one.failed > 1)
        fails("told more than once of one connect");
    if (one.connected + one.failed > 0 && !one.asked)
        fails("told of a connect that nobody asked for");
    if (one.connected == 1 && (one.expected != 0 || !one.was_whole))
        fails("told of a connection that is none");
    if (one.failed == 1 && one.error != one.expected)
        fails("told of another error");
    if (one.bev != nullptr && one.peer_sent.compare(0, one.read.size(), one.read) != 0)
        fails("bytes were read that were not sent so");
}

void run_seed()
{
    fake::boot(running_seed, fake::all_chances);
    struct event_base *base = make_base(on_iocp);
    attempt all[connections];
    for (attempt &one : all) {
        open_attempt(&one, base,
                     (fake::happens(700) ? int{BEV_OPT_CLOSE_ON_FREE} : 0) |
                         (fake::happens(300) ? int{BEV_OPT_DEFER_CALLBACKS} : 0));
        one.free_when_told = fake::happens(100);
    }
    for (int i = 0; i < 150; ++i) {
        attempt *one = &all[fake::random() % connections];
        if (one->bev != nullptr)
            step(one);
        if (fake::happens(500)) {
            fake::advance_us(200);
            turn(base);
        }
        check(*one);
    }
    bool base_first = fake::happens(200);
    for (attempt &one : all) {
        if (one.bev != nullptr && fake::happens(700))
            settle(&one);
        check(one);
        if (one.bev != nullptr && !base_first)
            let_go(&one);
    }
    event_base_free(base);
    if ((base_first ? fake::complaint_after_base_free() : fake::complaint_after_free()) != nullptr)
        fails(fake::complaint());
}

void each_connect_is_told_once(void **)
{
    for (running_seed = 1; running_seed <= seeds; ++running_seed)
        run_seed();
}

int set_up(void **)
{
    fake::boot(running_seed = 1);
    catch_log();
    return 0;
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_connect_is_told_once, set_up),
    };
    return cmocka_run_group_tests_name("connect", tests, nullptr, nullptr);
}
