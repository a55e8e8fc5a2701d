// Memory that a program lends its output without a cleanup (evbuffer_add_reference): that the output is without it is
// all that says when it is the program's again, so nothing may read it from then on. And views of files, which may turn out
// not to be readable.
#include <limits.h>

#include <string>

#include "support/check.h"

#include "support/bases.h"
#include "support/mapped_file.h"

using namespace iocp;

namespace {

struct event_base *base;
struct bufferevent *bev;
struct evbuffer *output;
SOCKET fd;

int errors; // told by event callbacks
int last_error;

void on_event(struct bufferevent *, short what, void *)
{
    last_error = EVUTIL_SOCKET_ERROR();
    errors += what == (BEV_EVENT_WRITING | BEV_EVENT_ERROR);
}

int set_up(void **)
{
    errors = 0;
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    fd = fake::open_socket(fake::kind::stream);
    fake::connect_now(fd);
    bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(fd), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, nullptr, nullptr, on_event, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    output = bufferevent_get_output(bev);
    turn_to_port(base);
    return 0;
}

int tear_down(void **)
{
    if (bev != nullptr)
        bufferevent_free(bev);
    event_base_free(base);
    return check_nothing_is_left();
}

void lend(const char *memory, size_t length)
{
    assert_int_equal(evbuffer_add_reference(output, memory, length, nullptr, nullptr), 0);
}

// By way of another evbuffer.
void lend_shared(const char *memory, size_t length)
{
    struct evbuffer *source = evbuffer_new();
    assert_int_equal(evbuffer_add_reference(source, memory, length, nullptr, nullptr), 0);
    assert_int_equal(evbuffer_add_buffer_reference(output, source), 0);
    evbuffer_free(source);
}

void is_not_read_once_the_output_is_empty(void **)
{
    std::string all;
    for (auto lends : {lend, lend_shared}) {
        char memory[] = "lent";
        fake::set_send_room(fd, 0);
        bufferevent_write(bev, "own", 3);
        lends(memory, 4);
        turn_to_port(base);
        assert_int_equal(evbuffer_get_length(output), 0);
        memset(memory, 'x', 4);
        fake::set_send_room(fd, SIZE_MAX);
        turn_to_port(base);
        all += "ownlent";
    }
    assert_string_equal(fake::sent(fd).c_str(), all.c_str());
}

// What lingers of it is none of the program's memory, either.
void nor_after_its_bufferevent_is_freed(void **)
{
    char memory[] = "lent";
    fake::set_send_room(fd, 0);
    lend(memory, 4);
    turn_to_port(base);
    bufferevent_free(bev);
    bev = nullptr;
    memset(memory, 'x', 4);
    fake::set_send_room(fd, SIZE_MAX);
    turn_to_port(base);
    turn_to_port(base);
    assert_string_equal(fake::last_closed().delivered.c_str(), "lent");
}

// What has to be copied leaves room for what follows it.
void many_pieces_are_one_send(void **)
{
    static const std::string large(16 * 1024, 'l');
    std::string all;
    uint64_t sends = fake::calls(fake::call::send);
    for (size_t length : {1, 200, 3000, 5000}) {
        bufferevent_write(bev, "head", 4);
        lend(large.data(), length);
        all += "head" + large.substr(0, length);
    }
    turn_to_port(base);
    assert_int_equal(fake::calls(fake::call::send), sends + 1);
    lend("few", 3);
    lend(large.data(), large.size());
    for (int i = 0; i < 4; ++i)
        turn_to_port(base);
    assert_int_equal(fake::calls(fake::call::send), sends + 3); // 16 KiB, and the rest
    assert_true(fake::sent(fd) == all + "few" + large);
}

constexpr size_t first_send = 16 * 1024;

const std::string &file_bytes()
{
    static const std::string bytes(64 * 1024, 'f');
    return bytes;
}

void lend_file()
{
    add_mapped_file(output, file_bytes());
}

void some_turns()
{
    for (int i = 0; i < 10; ++i)
        turn_to_port(base);
}

void an_unreadable_file_is_an_error_of_its_connection(void **)
{
    fake::fail_calls(fake::call::view_read, ERROR_NOACCESS, UINT_MAX);
    lend_file();
    some_turns();
    assert_int_equal(errors, 1);
    assert_int_equal(last_error, WSAEFAULT);
    assert_int_equal(evbuffer_get_length(output), file_bytes().size());
    assert_int_equal(fake::calls(fake::call::send), 0);
}

void what_stands_before_it_is_sent(void **)
{
    fake::fail_calls(fake::call::view_read, ERROR_NOACCESS, UINT_MAX);
    bufferevent_write(bev, "head", 4);
    lend_file();
    some_turns();
    assert_string_equal(fake::sent(fd).c_str(), "head");
    assert_int_equal(errors, 1);
    assert_int_equal(evbuffer_get_length(output), file_bytes().size());
}

void a_want_of_memory_for_it_is_waited_for(void **)
{
    fake::fail_calls(fake::call::view_read, WSAENOBUFS);
    lend_file();
    fake::set_send_room(fd, 0);
    some_turns();
    assert_int_equal(errors, 0);
    assert_int_equal(fake::calls(fake::call::view_read), 2);
    assert_int_equal(evbuffer_get_length(output), file_bytes().size() - first_send);
    bufferevent_disable(bev, EV_WRITE); // the rest is no memory of this kernel's
    fake::set_send_room(fd, SIZE_MAX);
    some_turns();
    assert_true(fake::sent(fd) == file_bytes().substr(0, first_send));
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_not_read_once_the_output_is_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_after_its_bufferevent_is_freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_pieces_are_one_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unreadable_file_is_an_error_of_its_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_stands_before_it_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_want_of_memory_for_it_is_waited_for, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lent memory", tests, nullptr, nullptr);
}
