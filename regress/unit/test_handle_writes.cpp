// What is written to files on the fake kernel: how many writes it becomes, and what is told of one that fails.
#include "support/handle_users.h"
#include "support/mapped_file.h"
#include "support/strict_locks.h"

#include "bufferevent/send_operation.h"

using namespace iocp;
using namespace iocp::handle_users;

namespace {

void small_pieces_leave_as_one_write(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    std::string all;
    for (int i = 0; i < 40; ++i) {
        std::string piece(100, static_cast<char>('a' + i % 26));
        all += piece;
        struct evbuffer *made = evbuffer_new();
        evbuffer_add(made, piece.data(), piece.size());
        bufferevent_write_buffer(one.bev, made);
        evbuffer_free(made);
    }
    turns(3);
    assert_int_equal(fake::calls(fake::call::file_send), 1);
    assert_true(fake::file_peer_reads(one.file) == all);
    free_user(&one);
}

const char *memory_in_flight(HANDLE file)
{
    for (const auto &entry : fake::k().operations)
        if (entry.second.file == file && entry.second.what == fake::work::send)
            return entry.second.buffers[0].buf;
    return nullptr;
}

// The first chain is large enough: the kernel is given it as it is.
void a_large_piece_is_not_copied(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_file_room(one.file, 0);
    bufferevent_set_max_single_write(one.bev, 1024 * 1024);
    struct evbuffer *made = evbuffer_new();
    std::string large(max_coalesced, 'l');
    evbuffer_add(made, large.data(), large.size());
    const unsigned char *memory = evbuffer_pullup(made, -1);
    bufferevent_write_buffer(one.bev, made);
    evbuffer_free(made);
    say(&one, std::string(max_coalesced, 'm'));
    turns(3);
    assert_ptr_equal(memory_in_flight(one.file), memory);
    fake::set_file_room(one.file, SIZE_MAX);
    turns(5);
    assert_true(fake::file_peer_reads(one.file) == large + std::string(max_coalesced, 'm'));
    free_user(&one);
}

// What cannot be read among them keeps none back that stands before it.
void a_file_that_cannot_be_read_is_not_put_together(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    std::string file(1000, 'f');
    fake::fail_calls(fake::call::view_read, ERROR_NOACCESS, 1);
    say(&one, "head");
    add_mapped_file(bufferevent_get_output(one.bev), file);
    say(&one, "tail");
    fake::set_file_room(one.file, 0);
    turns(3);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(one.bev)), file.size() + 4);
    fake::set_file_room(one.file, SIZE_MAX);
    turns(6); // it can be read again, the next time
    assert_true(fake::file_peer_reads(one.file) == "head" + file + "tail");
    assert_int_equal(fake::calls(fake::call::file_send), 2);
    assert_int_equal(one.what, 0);
    free_user(&one);
}

void a_write_to_nobody_is_an_error(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    bufferevent_disable(one.bev, EV_READ);
    fake::file_peer_closes(one.file);
    say(&one, "anybody?");
    turns(5);
    say(&one, "hello?");
    turns(5);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_WRITING);
    assert_int_equal(one.error, ERROR_NO_DATA);
    free_user(&one);
}

// What it had sent by then nobody knows: to repeat it would send a part twice.
void a_write_that_was_cancelled_is_not_repeated(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_file_room(one.file, 600);
    say(&one, std::string(1000, 'x'));
    turns(3);
    fake::end_starting_thread();
    fake::set_file_room(one.file, SIZE_MAX);
    turns(5);
    say(&one, "y");
    turns(5);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_WRITING);
    assert_int_equal(one.error, ERROR_OPERATION_ABORTED);
    assert_true(fake::file_peer_reads(one.file).find('y') == std::string::npos);
    free_user(&one);
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_pieces_leave_as_one_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_piece_is_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_not_put_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_to_nobody_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_that_was_cancelled_is_not_repeated, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("handle_writes", tests, nullptr, nullptr);
}
