// What a pipe's server may do in the name of its client: no more than to ask who that is; and what it has to grant. On the
// real kernel.
#include "real/real_base.h"

#include "compat/sys.h"

#include "event2/iocp.h"

using namespace real;

namespace {

const wchar_t *const path = L"\\\\.\\pipe\\libevent-iocp-test-rights";
const char *const path_in_utf_8 = "\\\\.\\pipe\\libevent-iocp-test-rights";

HANDLE new_instance(SECURITY_ATTRIBUTES *security = nullptr)
{
    HANDLE instance = nullptr;
    assert_int_equal(iocp::sys::pipe_create(path, {true, true, true, 0, security}, &instance), 0);
    return instance;
}

// Of the client whose bytes are read first, as Windows wants it.
SECURITY_IMPERSONATION_LEVEL level_at(HANDLE instance)
{
    char byte;
    OVERLAPPED overlapped = {};
    DWORD count = 0;
    HANDLE token = nullptr;
    SECURITY_IMPERSONATION_LEVEL level = SecurityAnonymous;
    assert_true(ReadFile(instance, &byte, 1, nullptr, &overlapped) || GetLastError() == ERROR_IO_PENDING);
    assert_true(GetOverlappedResult(instance, &overlapped, &count, TRUE));
    assert_true(ImpersonateNamedPipeClient(instance));
    assert_true(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &token));
    assert_true(GetTokenInformation(token, TokenImpersonationLevel, &level, sizeof(level), &count));
    assert_true(RevertToSelf());
    CloseHandle(token);
    CloseHandle(instance);
    return level;
}

// Wine 8 does not.
bool kernel_looks_at_levels()
{
    HANDLE instance = new_instance();
    HANDLE client = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                                SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr);
    DWORD count = 0;
    assert_true(WriteFile(client, "x", 1, &count, nullptr));
    bool looks = level_at(instance) == SecurityIdentification;
    CloseHandle(client);
    return looks;
}

void the_server_cannot_act_as_its_client(void **)
{
    if (!kernel_looks_at_levels())
        skip();
    HANDLE instance = new_instance();
    struct bufferevent *client = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    assert_int_equal(bufferevent_iocp_pipe_connect(client, path_in_utf_8, nullptr), 0);
    bufferevent_write(client, "x", 1);
    assert_true(look_until([&] { return evbuffer_get_length(bufferevent_get_output(client)) == 0; }));
    assert_int_equal(level_at(instance), SecurityIdentification);
    bufferevent_free(client);
}

// The file of a server that grants everyone these rights and no others.
class granted {
public:
    explicit granted(DWORD rights)
    {
        SID_IDENTIFIER_AUTHORITY world = SECURITY_WORLD_SID_AUTHORITY;
        PSID everyone = nullptr;
        assert_true(AllocateAndInitializeSid(&world, 1, SECURITY_WORLD_RID, 0, 0, 0, 0, 0, 0, 0, &everyone));
        assert_true(InitializeAcl(list(), sizeof(room), ACL_REVISION));
        assert_true(AddAccessAllowedAce(list(), ACL_REVISION, rights, everyone));
        FreeSid(everyone);
        assert_true(InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION));
        assert_true(SetSecurityDescriptorDacl(&descriptor, TRUE, list(), FALSE));
        attributes = {sizeof(attributes), &descriptor, FALSE};
    }
    SECURITY_ATTRIBUTES attributes;

private:
    ACL *list() { return reinterpret_cast<ACL *>(room); }
    SECURITY_DESCRIPTOR descriptor;
    alignas(ACL) char room[128];
};

bool kernel_refuses(DWORD access)
{
    HANDLE client = CreateFileW(path, access, 0, nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
    if (client != INVALID_HANDLE_VALUE)
        CloseHandle(client);
    return client == INVALID_HANDLE_VALUE && GetLastError() == ERROR_ACCESS_DENIED;
}

// As Microsoft advises a server that is to be the only one: GENERIC_READ and FILE_WRITE_DATA.
void no_more_rights_are_asked_for_than_are_needed(void **)
{
    granted both(FILE_GENERIC_READ | FILE_WRITE_DATA);
    HANDLE instance = new_instance(&both.attributes);
    if (!kernel_refuses(GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES)) {
        CloseHandle(instance);
        skip();
    }
    struct bufferevent *client = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    assert_int_equal(bufferevent_iocp_pipe_connect(client, path_in_utf_8, nullptr), 0);
    bufferevent_write(client, "x", 1);
    for (uint64_t until = GetTickCount64() + deadline_seconds * 1000; GetTickCount64() < until;) {
        if (evbuffer_get_length(bufferevent_get_output(client)) == 0)
            break;
        look();
    }
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(client)), 0);
    char byte = 0;
    DWORD count = 0;
    OVERLAPPED overlapped = {};
    assert_true(ReadFile(instance, &byte, 1, nullptr, &overlapped) || GetLastError() == ERROR_IO_PENDING);
    assert_true(GetOverlappedResult(instance, &overlapped, &count, TRUE));
    assert_int_equal(byte, 'x');
    CloseHandle(instance);
    bufferevent_free(client);
}

short heard;
int heard_error;

void on_event(struct bufferevent *, short what, void *)
{
    heard_error = EVUTIL_SOCKET_ERROR();
    heard = what;
    event_base_loopbreak(base);
}

// As Windows' default has it for other accounts: everyone may read.
void half_of_what_a_pipe_has_is_none(void **)
{
    granted reading(FILE_GENERIC_READ);
    HANDLE instance = new_instance(&reading.attributes);
    if (!kernel_refuses(GENERIC_READ | FILE_WRITE_DATA)) {
        CloseHandle(instance);
        skip();
    }
    heard = 0;
    struct bufferevent *client = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(client, nullptr, nullptr, on_event, nullptr);
    assert_int_equal(bufferevent_iocp_pipe_connect(client, path_in_utf_8, nullptr), 0);
    assert_true(run_loop());
    assert_int_equal(heard, BEV_EVENT_ERROR);
    assert_int_equal(heard_error, ERROR_ACCESS_DENIED);
    CloseHandle(instance);
    bufferevent_free(client);
}

// Whichever end is asked, and opened for whichever direction.
void the_kernel_says_where_a_pipe_goes(void **)
{
    const iocp::sys::pipe_client ways[] = {{true, true, false}, {true, false, false}, {false, true, false}};
    for (const iocp::sys::pipe_client &pipe : ways)
        for (const iocp::sys::pipe_client &by : ways) {
            if ((by.reads && !pipe.reads) || (by.writes && !pipe.writes))
                continue;
            HANDLE instance = nullptr, client = nullptr;
            assert_int_equal(iocp::sys::pipe_create(path, {pipe.writes, pipe.reads, true, 0, nullptr}, &instance), 0);
            assert_int_equal(iocp::sys::pipe_open(path, by, &client), 0);
            assert_int_equal(iocp::sys::pipe_is_duplex(client), pipe.reads && pipe.writes);
            assert_int_equal(iocp::sys::pipe_is_duplex(instance), pipe.reads && pipe.writes);
            CloseHandle(client);
            CloseHandle(instance);
        }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_server_cannot_act_as_its_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_rights_are_asked_for_than_are_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_of_what_a_pipe_has_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_kernel_says_where_a_pipe_goes, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
