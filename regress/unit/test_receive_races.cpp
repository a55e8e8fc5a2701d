// Receives that are called back while what they wait for is on the way, on the fake kernel: the bytes that the kernel
// has put into the buffer are the next that the program reads, whoever called the receive back and why.
#include "support/check.h"

#include <string.h>

#include "support/bases.h"
#include "support/fake_kernel.h"

#include "backend/backend.h"
#include "bufferevent/receive_buffer.h"
#include "bufferevent/stream.h"

using namespace iocp;

namespace {

constexpr unsigned turns_to_be_cold = 100;
struct event_base *base;
int ended;

struct conversation {
    SOCKET socket;
    struct bufferevent *bev;
    std::string said;
    std::string heard;
};

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[512];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<conversation *>(argument)->heard.append(bytes, got);
}

void on_end(struct bufferevent *, short, void *)
{
    ++ended;
}

void turns(unsigned count)
{
    for (unsigned i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

void listen_by(conversation *one, int options)
{
    one->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(one->socket), options);
    bufferevent_setcb(one->bev, on_read, nullptr, nullptr, one);
    bufferevent_enable(one->bev, EV_READ);
}

void say(conversation *one, const std::string &bytes)
{
    one->said += bytes;
    fake::peer_sends(one->socket, bytes);
}

// One that has just heard something, so that its next receive has a buffer.
void warm_up(conversation *one)
{
    one->socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(one->socket);
    listen_by(one, BEV_OPT_CLOSE_ON_FREE);
    turns(1);
    say(one, "hello");
    turns(2);
    assert_true(one->heard == one->said);
}

void lose_cancels()
{
    fake::k().odds.delayed = 1000;
    fake::k().odds.max_delay_us = 1000 * 1000;
    fake::set_cancel_way(fake::cancel_way::loses);
}

void finish()
{
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

// The descriptor goes to another bufferevent, the receive having got bytes that nobody has read.
void descriptor_is_handed_over(void **)
{
    for (int comes = 0; comes < 2; ++comes) {
        fake::boot(1);
        base = make_base(on_iocp);
        conversation one = {};
        warm_up(&one);
        lose_cancels();
        if (comes != 0)
            say(&one, "in the old one's buffer ");
        bufferevent_setfd(one.bev, -1);
        bufferevent_free(one.bev);
        fake::k().odds.delayed = 0;
        say(&one, "and after");
        listen_by(&one, BEV_OPT_CLOSE_ON_FREE);
        turns(3);
        assert_true(one.heard == one.said);
        bufferevent_free(one.bev);
        finish();
    }
}

void free_all(std::vector<conversation> *all)
{
    for (conversation &one : *all)
        bufferevent_free(one.bev);
}

void come_in(conversation *one)
{
    one->socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(one->socket);
    listen_by(one, BEV_OPT_CLOSE_ON_FREE);
}

// What quiet ones may have of the budget for buffers is spent: more than those have heard something once.
std::vector<conversation> spend_on_quiet()
{
    std::vector<conversation> all(2 * receive_budget_of_quiet / first_receive_size);
    for (conversation &one : all)
        warm_up(&one);
    assert_int_equal(backend_of(base)->streams.budget.spent, receive_budget_of_quiet);
    return all;
}

// The rest, too: so many wait for their first answer. All have waited long then.
std::vector<conversation> spend_all()
{
    std::vector<conversation> all = spend_on_quiet();
    all.resize(all.size() + (receive_budget_bytes - receive_budget_of_quiet) / first_receive_size);
    for (conversation &one : all) {
        if (one.bev != nullptr) {
            bufferevent_setcb(one.bev, on_read, nullptr, nullptr, &one); // it has moved
            continue;
        }
        come_in(&one);
        bufferevent_disable(one.bev, EV_READ);
        bufferevent_write(one.bev, "request", 7);
        turns(1);
        bufferevent_enable(one.bev, EV_READ);
        turns(1);
    }
    assert_int_equal(backend_of(base)->streams.budget.spent, receive_budget_bytes);
    turns(turns_to_be_cold);
    return all;
}

// The budget for buffers is spent on connections that have waited long: those are called back for busier ones.
void buffer_is_called_back(void **)
{
    base = make_base(on_iocp);
    std::vector<conversation> all = spend_all();
    lose_cancels();
    conversation *coldest = &all.front();
    say(coldest, "on its way");
    uint64_t cancels = fake::calls(fake::call::cancel);
    conversation busy = {};
    come_in(&busy);
    fake::k().odds.delayed = 0;
    for (int i = 0; i < 3; ++i) {
        say(&busy, "busy");
        turns(2);
    }
    assert_true(fake::calls(fake::call::cancel) > cancels);
    assert_true(coldest->heard == coldest->said);
    assert_true(busy.heard == busy.said);
    assert_true(backend_of(base)->streams.budget.spent <= receive_budget_bytes);
    bufferevent_free(busy.bev);
    free_all(&all);
    finish();
}

uint64_t receive_calls()
{
    return fake::calls(fake::call::receive) + fake::calls(fake::call::receive_now);
}

// It has a buffer by then, for which a cold one was called back: once, and not for each message.
void who_stays_busy_pays_no_more(void **)
{
    base = make_base(on_iocp);
    std::vector<conversation> all = spend_all();
    conversation busy = {};
    come_in(&busy);
    for (int i = 0; i < 5; ++i) {
        say(&busy, "busy");
        turns(2);
    }
    uint64_t receives = receive_calls(), cancels = fake::calls(fake::call::cancel);
    constexpr uint64_t messages = 50;
    for (uint64_t i = 0; i < messages; ++i) {
        say(&busy, "busy");
        turns(2);
    }
    assert_true(busy.heard == busy.said);
    assert_int_equal(receive_calls() - receives, messages);
    assert_int_equal(fake::calls(fake::call::cancel), cancels);
    assert_in_range(cancels, 1, 2);
    bufferevent_free(busy.bev);
    free_all(&all);
    finish();
}

// Connections of which each has one message, and those that have one now and then, in turn: a buffer that is called back
// for one of them costs two calls, and would save none.
void nobody_is_called_back_for_quiet_ones(void **)
{
    base = make_base(on_iocp);
    std::vector<conversation> all = spend_all();
    for (int round = 0; round < 2; ++round)
        for (conversation &one : all) {
            say(&one, "now and then");
            turns(2);
        }
    for (const conversation &one : all)
        assert_true(one.heard == one.said);
    assert_int_equal(fake::calls(fake::call::cancel), 0);
    free_all(&all);
    finish();
}

// As many as the budget has room for, all of which go on: nothing is held back from them, though they have begun as quiet
// ones.
void those_who_go_on_have_all_of_it(void **)
{
    base = make_base(on_iocp);
    std::vector<conversation> all(receive_budget_bytes / first_receive_size);
    for (conversation &one : all)
        warm_up(&one);
    for (int round = 0; round < 2; ++round)
        for (conversation &one : all) {
            say(&one, "again");
            turns(2);
        }
    assert_int_equal(backend_of(base)->streams.budget.spent, receive_budget_bytes);
    assert_int_equal(fake::calls(fake::call::cancel), 0);
    free_all(&all);
    finish();
}

// Who has just sent for the first time waits for the answer with a buffer: quiet ones leave room for that.
void a_first_answer_costs_one_receive(void **)
{
    base = make_base(on_iocp);
    std::vector<conversation> all = spend_on_quiet();
    conversation client = {};
    come_in(&client);
    bufferevent_disable(client.bev, EV_READ);
    bufferevent_write(client.bev, "request", 7);
    bufferevent_enable(client.bev, EV_WRITE);
    turns(2);
    uint64_t before = receive_calls();
    bufferevent_enable(client.bev, EV_READ);
    turns(1);
    say(&client, "answer");
    turns(1);
    assert_true(client.heard == client.said);
    assert_int_equal(receive_calls() - before, 1);
    bufferevent_free(client.bev);
    free_all(&all);
    finish();
}

// Its thread may not know that the loop reads just then, by the stream of the one before.
void another_thread_makes_the_next_one(void **)
{
    base = make_base(on_iocp);
    static conversation last, next;
    static const void *reader;
    last = next = {};
    reader = nullptr;
    come_in(&last);
    turns(1);
    next.socket = last.socket;
    say(&last, "for one of them");
    fake::within(fake::call::receive_now, [] {
        become_thread(other_thread);
        listen_by(&next, BEV_OPT_CLOSE_ON_FREE);
        reader = stream_find(backend_of(base), static_cast<evutil_socket_t>(next.socket))->holder;
        become_thread(loop_thread);
    });
    turns(3);
    assert_ptr_equal(reader, last.bev);
    assert_non_null(next.bev);
    bufferevent_setfd(last.bev, -1);
    bufferevent_free(last.bev);
    say(&last, ", and for the other");
    turns(3);
    assert_true(last.heard + next.heard == last.said);
    bufferevent_free(next.bev);
    finish();
}

// The kernel has its time with the packet of a receive that was called back. The next reader must not go on after a gap.
void bytes_that_come_too_late(void **)
{
    base = make_base(on_iocp);
    conversation one = {};
    warm_up(&one);
    fake::hold_packets(true);
    say(&one, "never seen");
    int64_t asked_us = fake::now_us();
    bufferevent_setfd(one.bev, -1);
    assert_true(fake::now_us() - asked_us >= await_limit_us);
    fake::hold_packets(false);
    fake::release_all();
    turns(1);
    ended = 0;
    bufferevent_setcb(one.bev, on_read, nullptr, on_end, &one);
    bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(one.socket));
    bufferevent_enable(one.bev, EV_READ);
    say(&one, "after the gap");
    turns(3);
    assert_string_equal(one.heard.c_str(), "hello");
    assert_int_equal(ended, 1);
    bufferevent_free(one.bev);
    finish();
}

// They came for nobody: the socket is closed when the loop has its turn, and not ended before that.
void bytes_that_come_before_the_close(void **)
{
    base = make_base(on_iocp);
    conversation one = {};
    warm_up(&one);
    fake::hold_packets(true);
    say(&one, "never seen");
    bufferevent_free(one.bev);
    fake::hold_packets(false);
    fake::release_all();
    port *on = backend_of(base)->port;
    auto any = [](const void *of) { return static_cast<const port *>(of)->in_flight.count != 0; };
    port_collect_while(on, any, on, await_limit_us);
    assert_false(fake::is_open(one.socket) && fake::sending_has_ended(one.socket));
    turns(2);
    assert_false(fake::is_open(one.socket));
    finish();
}

// Who lets go of a receive was kept from running for longer than it may wait, and the packet came meanwhile.
void time_runs_out_with_the_packet_there(void **)
{
    for (bool beside_the_loop : {false, true}) {
        fake::boot(1);
        base = make_base(on_iocp);
        conversation one = {}, other = {};
        warm_up(&other);
        warm_up(&one);
        fake::hold_packets(true);
        say(&other, "first");
        say(&one, ", and in the buffer, ");
        fake::within(fake::call::port_dequeue, [] {
            fake::advance_us(2 * await_limit_us);
            fake::release_first();
            fake::within(fake::call::port_dequeue, [] { fake::release_all(); });
        });
        base->running_loop = beside_the_loop;
        become_thread(beside_the_loop ? other_thread : loop_thread);
        bufferevent_setfd(one.bev, -1);
        become_thread(loop_thread);
        base->running_loop = 0;
        fake::hold_packets(false);
        bufferevent_setfd(one.bev, static_cast<evutil_socket_t>(one.socket));
        bufferevent_enable(one.bev, EV_READ);
        say(&one, "after it");
        turns(3);
        assert_true(one.heard == one.said);
        bufferevent_free(one.bev);
        bufferevent_free(other.bev);
        finish();
    }
}

} // namespace

int main()
{
    use_fake_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(descriptor_is_handed_over, set_up_kernel),
        cmocka_unit_test_setup(buffer_is_called_back, set_up_kernel),
        cmocka_unit_test_setup(who_stays_busy_pays_no_more, set_up_kernel),
        cmocka_unit_test_setup(nobody_is_called_back_for_quiet_ones, set_up_kernel),
        cmocka_unit_test_setup(those_who_go_on_have_all_of_it, set_up_kernel),
        cmocka_unit_test_setup(a_first_answer_costs_one_receive, set_up_kernel),
        cmocka_unit_test_setup(another_thread_makes_the_next_one, set_up_kernel),
        cmocka_unit_test_setup(bytes_that_come_too_late, set_up_kernel),
        cmocka_unit_test_setup(bytes_that_come_before_the_close, set_up_kernel),
        cmocka_unit_test_setup(time_runs_out_with_the_packet_there, set_up_kernel),
    };
    return cmocka_run_group_tests_name("receive races", tests, nullptr, nullptr);
}
