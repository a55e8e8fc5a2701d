// Whose a file's number is when the file is gone, on the fake kernel.
#include "support/handle_users.h"

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

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_number_may_be_a_sockets_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_number_may_be_a_connecting_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_closed_as_what_it_is, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("handle_numbers", tests, nullptr, nullptr);
}
