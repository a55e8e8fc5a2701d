// Whose a file's number is when the file is gone, or given once more, on the fake kernel.
#include "support/handle_users.h"
#include "support/strict_locks.h"

#include "support/guard.h"

using namespace iocp;
using namespace iocp::handle_users;

namespace {

// That of a file which its program closed by CloseHandle, which could not leave the port, and of which bytes are kept.
SOCKET socket_with_a_number_that_was_a_files()
{
    HANDLE file = fake::open_file(sys::transport::messages, 0, reinterpret_cast<HANDLE>(fake::first_socket));
    user one;
    use_file(&one, file, 0);
    fake::file_peer_writes(file, "nobody's");
    fake::fail_calls(fake::call::leave_port, ERROR_CALL_NOT_IMPLEMENTED);
    bufferevent_free(one.bev);
    turns(3);
    fake::close_file_by_program(file);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    assert_ptr_equal(reinterpret_cast<HANDLE>(socket), file);
    return socket;
}

void its_number_may_be_a_sockets_then(void **)
{
    user one = {};
    SOCKET socket = socket_with_a_number_that_was_a_files();
    fake::connect_now(socket);
    for (int options : {0, int{BEV_OPT_CLOSE_ON_FREE}}) {
        struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), options);
        assert_int_equal(fake::is_on_port(socket), options != 0); // what its program may use by itself is not
        use_bufferevent(&one, bev);
        fake::peer_sends(socket, "for the socket");
        turns(8);
        assert_string_equal(one.heard.c_str(), "for the socket");
        one.heard.clear();
        bufferevent_free(bev);
        turns(5);
    }
    assert_false(fake::is_open(socket));
}

// Of one that is not connected yet: it is watched for readiness.
void its_number_may_be_a_connecting_sockets(void **)
{
    SOCKET socket = socket_with_a_number_that_was_a_files();
    struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    assert_false(fake::is_on_port(socket));
    bufferevent_free(bev);
    turns(5);
    assert_false(fake::is_open(socket));
}

// The same, and the socket was never ours: it is closed as a socket, though a write of the file is still known.
void it_is_closed_as_what_it_is(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe, 0, reinterpret_cast<HANDLE>(fake::first_socket));
    fake::set_file_room(file, 1);
    user one;
    use_file(&one, file, 0);
    say(&one, "too much");
    turns(2);
    bufferevent_free(one.bev);
    turns(2);
    fake::hold_packets(true);
    fake::close_file_by_program(file);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    assert_int_equal(evutil_closesocket(static_cast<evutil_socket_t>(socket)), 0);
    assert_false(fake::is_open(socket));
    fake::hold_packets(false);
    fake::release_all();
    turns(5);
}

// The file of `one` is given to it once more, without memory for the allocation after so many. 0, or the error.
// `failed`: that allocation was wanted.
int set_same_again(user *one, unsigned after, bool *failed)
{
    guard::fail_allocations(after, 1);
    int result = bufferevent_setfd(one->bev, reinterpret_cast<evutil_socket_t>(one->file));
    int error = result == 0 ? 0 : EVUTIL_SOCKET_ERROR();
    *failed = guard::failed_allocations() != 0;
    guard::fail_allocations(0, 0);
    return error;
}

void reads(user *one, const std::string &bytes)
{
    fake::file_peer_writes(one->file, bytes);
    turns(5);
    assert_string_equal(one->heard.c_str(), bytes.c_str());
}

// What it has goes on, the write in flight included.
void the_same_handle_again_is_no_change(void **)
{
    for (sys::transport by : kinds) {
        bool failed = true;
        for (unsigned after = 0; failed; ++after) {
            user one;
            open_user(&one, by);
            fake::set_file_room(one.file, 3);
            say(&one, "in flight");
            turns(2);
            uint64_t joined = fake::calls(fake::call::skip_packet_on_success);
            assert_int_equal(set_same_again(&one, after, &failed), 0);
            assert_int_equal(fake::calls(fake::call::skip_packet_on_success), joined);
            reads(&one, "read by it");
            assert_string_equal(fake::file_peer_reads(one.file).c_str(), "in flight");
            free_user(&one);
        }
    }
}

// Its program has closed it under the bufferevent, against the rule, and opened another one.
void number_is_anothers(user *one)
{
    open_user(one, sys::transport::pipe);
    fake::close_file_by_program(one->file);
    fake::open_file(sys::transport::messages, 0, one->file);
}

void another_handle_of_its_number_is_taken_or_left_alone(void **)
{
    unsigned refused = 0;
    bool failed = true;
    for (unsigned after = 0; failed; ++after) {
        user one;
        number_is_anothers(&one);
        int error = set_same_again(&one, after, &failed);
        if (error == 0) {
            reads(&one, "of the other");
            free_user(&one);
            continue;
        }
        assert_int_equal(error, WSAENOBUFS);
        assert_int_equal(bufferevent_getfd(one.bev), -1);
        assert_false(fake::file_is_on_port(one.file));
        bufferevent_free(one.bev);
        turns(3);
        assert_true(fake::file_is_open(one.file)); // its program's
        fake::close_file_by_program(one.file);
        ++refused;
    }
    assert_true(refused > 0);
}

void a_number_of_nothing_changes_nothing(void **)
{
    user one;
    bool failed;
    open_user(&one, sys::transport::pipe);
    fake::fail_calls(fake::call::file_transport, ERROR_INVALID_HANDLE);
    assert_int_equal(set_same_again(&one, 100, &failed), ERROR_INVALID_HANDLE);
    reads(&one, "still there");
    free_user(&one);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_number_may_be_a_sockets_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_number_may_be_a_connecting_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_closed_as_what_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_handle_again_is_no_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_handle_of_its_number_is_taken_or_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_of_nothing_changes_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("handle_numbers", tests, nullptr, nullptr);
}
