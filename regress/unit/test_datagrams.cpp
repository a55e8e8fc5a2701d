// What ICMP says of datagrams that were sent is no news of a datagram socket, on the fake kernel: as on select
// elsewhere, where a socket is readable when there is something to read.
#include "support/check.h"

#include "support/bases.h"

using namespace iocp;

namespace {

constexpr sys::datagram_report reports[] = {sys::datagram_report::port_unreachable,
                                            sys::datagram_report::time_exceeded};

void turns(struct event_base *base)
{
    for (int i = 0; i < 3; ++i)
        turn_to_port(base);
}

// Each of them, while the socket is watched.
void a_report_wakes_nobody(void **)
{
    for (sys::datagram_report which : reports) {
        struct event_base *base = make_base(on_iocp);
        SOCKET socket = fake::open_socket(fake::kind::datagram);
        counted *reader = count_events(base, static_cast<evutil_socket_t>(socket), EV_READ | EV_PERSIST);
        event_add(reader->registered, nullptr);
        turns(base);
        fake::report_arrives(socket, which);
        turns(base);
        assert_int_equal(reader->count, 0);
        fake::peer_sends(socket, "a datagram");
        turns(base);
        assert_true(reader->count > 0);
        free_counted(reader);
        event_base_free(base);
        fake::close_by_program(socket);
        assert_null(fake::complaint_after_free());
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(a_report_wakes_nobody, set_up_kernel)};
    return cmocka_run_group_tests_name("datagrams", tests, nullptr, nullptr);
}
